"""The estimator: a Poisson flow with scikit-learn's habits."""

from __future__ import annotations

import base64
import html
import importlib
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _pfgm
from ._arrays import (
    Array,
    RandomState,
    as_array,
    count_of,
    doubles,
    image_range,
    is_frame,
    levels_of,
    points_of,
    rows_of,
    seed_of,
    solver_json,
    to_json,
    training_seed,
)
from ._display import Picture, Progress, Samples
from ._operators import operator_of
from ._tables import Columns

#: The file of a run's folder with what only Python knows about it.
_SIDECAR = "python.json"


class NotFittedError(ValueError, AttributeError):
    """A flow is used before :meth:`PoissonFlow.fit`."""


@dataclass(frozen=True)
class Step:
    """A step of a training, as callbacks get it.

    Attributes
    ----------
    step, steps : int
        Number of the step, from 1, and of the last one.
    loss : float
        Loss of the step, per row and coordinate.
    rows_per_second : float
        Speed, smoothed.
    """

    step: int
    steps: int
    loss: float
    rows_per_second: float


@dataclass(frozen=True)
class History:
    """Losses of a training.

    Attributes
    ----------
    step : ndarray of int, shape (steps,)
    loss : ndarray of float, shape (steps,)
        Loss of each step, per row and coordinate.
    seconds : ndarray of float, shape (steps,)
        Seconds since the training began.
    held_out_step, held_out_loss : ndarray, shape (measurements,)
        Loss of the averaged weights on rows that are not trained on.
    """

    step: npt.NDArray[np.int64]
    loss: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]
    held_out_step: npt.NDArray[np.int64]
    held_out_loss: npt.NDArray[np.float64]

    def plot(self) -> Picture:
        """Draw the losses over the steps; a notebook shows the picture."""
        loss = self.loss[np.isfinite(self.loss)]
        size = max(len(loss) // 60, 1)
        parts = [loss[at : at + size].mean() for at in range(0, len(loss), size)]
        curves = [("loss", [float(self.step[0] + size * (at + 0.5)) for at in range(len(parts))], parts)]
        if len(self.held_out_loss):
            curves.append(("held out", self.held_out_step.tolist(), self.held_out_loss.tolist()))
        return Picture(_pfgm.curve(curves, ["step", "loss"], ""))


class PoissonFlow:
    """A generative model of the rows of an array: PFGM, PFGM++ or a diffusion model.

    The rows are charges in a space of D extra dimensions. A network learns the field-weighted mean of the charges, and the flow along the
    field's lines turns noise into new rows, and rows into noise.

    Parameters
    ----------
    D : float, optional
        Number of extra dimensions: 1 is PFGM, another number above 0 is PFGM++, ``float("inf")`` a diffusion model. Default: 128.
    steps : int, optional
        Steps of the optimizer. Default: about 100 passes over the data.
    batch_size : int, optional
        Rows of a step. Default: 256 rows of numbers; fewer images.
    learning_rate : float, optional
        Adam's learning rate. Default: 1e-3, or 2e-3 for small U-Nets.
    sigma_min, sigma_max : float, optional
        Lowest and highest noise level, in units of the standardized data. Default: 0.002, and 80 or, at D = 1, from the data.
    conditional : bool, optional
        Whether the network is conditioned on the classes ``y``. Default: if there are at least 2, with 10 rows each on average.
    config : str, path or dict, optional
        A preset (``"digits"``), a TOML file, or changes to single keys, such as ``{"train": {"ema": 0.99}}`` or ``{"train.ema": 0.99}``.
        ``pfgm config`` lists all keys.
    value_range : (float, float), optional
        Values of black and white of images, to which samples are clipped. Default: 0 to 255 for bytes, or 0 to their largest value if that
        is below 64; otherwise [0, 1], [-1, 1] or the range of the values.
    held_out : int, default 0
        Rows that are not trained on; their loss is measured a few times.
    folder : path, optional
        Folder of a run, which checkpoints and the log are written to while the training goes on.
    device : str, default "cpu"
        Device of the network; wheels have ``"cpu"`` only.
    warm_start : bool, default False
        Whether ``fit`` continues the training of the fitted model instead of a new one.
    random_state : int, Generator or None, default None
        Seed of the initial weights and of the training; the same integer gives the same model.
    verbose : bool, optional
        Whether a progress bar is shown. Default: in terminals and notebooks.
    callbacks : sequence of callables, default ()
        Each is called after every step with a :class:`Step`; the training ends when one returns True. What was learned is kept.

    Attributes
    ----------
    history : History
        Losses of the training.
    classes_ : ndarray of shape (n_classes,), or None
        Classes that the network is conditioned on.
    n_features_in_ : int
        Values of a row.

    Examples
    --------
    >>> import numpy as np, pfgm
    >>> X = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    >>> flow = pfgm.PoissonFlow(D=1, steps=20, batch_size=64, random_state=0).fit(X)
    >>> flow.sample(5, random_state=0).shape
    (5, 2)
    """

    #: Classes that the network is conditioned on.
    classes_: Array | None

    def __init__(
        self,
        D: float | None = None,
        *,
        steps: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        sigma_min: float | None = None,
        sigma_max: float | None = None,
        conditional: bool | None = None,
        config: str | PathLike[str] | Mapping[str, Any] | None = None,
        value_range: tuple[float, float] | None = None,
        held_out: int = 0,
        folder: str | PathLike[str] | None = None,
        device: str = "cpu",
        warm_start: bool = False,
        random_state: RandomState = None,
        verbose: bool | int | None = None,
        callbacks: Sequence[Callable[[Step], Any]] = (),
    ) -> None:
        self.D = D
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.sigma_min = sigma_min
        self.sigma_max = sigma_max
        self.conditional = conditional
        self.config = config
        self.value_range = value_range
        self.held_out = held_out
        self.folder = folder
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    # Parameters, as scikit-learn's tools read and set them.

    @classmethod
    def _parameters(cls) -> dict[str, inspect.Parameter]:
        own = inspect.signature(cls.__init__).parameters
        return {name: parameter for name, parameter in own.items() if name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the constructor, by name.

        Parameters
        ----------
        deep : bool
            Ignored; no parameter is an estimator.

        Returns
        -------
        dict
        """
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: Any) -> PoissonFlow:
        """Set parameters of the constructor by name.

        Returns
        -------
        self
        """
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{name}: PoissonFlow has no such parameter; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn calls this, so that it is installed.
        tags: Any = importlib.import_module("sklearn.utils")
        return tags.Tags(
            estimator_type="density_estimator",
            target_tags=tags.TargetTags(required=False),
            input_tags=tags.InputTags(two_d_array=True, three_d_array=True),
        )

    # Training.

    def fit(self, X: Any, y: Any = None) -> PoissonFlow:
        """Train a new flow on the rows of X; the interpreter's lock is released meanwhile.

        Ctrl-C ends the training within a step: ``KeyboardInterrupt`` is raised, and the flow is fitted with what it has learned.

        Parameters
        ----------
        X : array of shape (n, N), (n, height, width) or (n, height, width, channels), or DataFrame
            Rows in their own units. Columns of numbers are standardized; categories become as many 0/1 columns as they have values.
        y : array of shape (n,), optional
            Class of each row, of any type.

        Returns
        -------
        self
        """
        options = self._options()
        columns = Columns.of(X) if is_frame(X) else None
        array = columns.encode(X) if columns else X
        array = rows_of(array, "X")
        classes, labels = self._classes(y, len(array))
        range_ = image_range(array, self.value_range) if array.ndim > 2 else None
        rows = self._native(array, "X", columns, range_, (labels, [str(name) for name in classes]))
        start = getattr(self, "model_", None) if self.warm_start else None
        callbacks = list(self.callbacks)
        progress = Progress(self.verbose, "training")
        loss = math.nan

        def report(step: int, steps: int, now: float, rows_per_second: float) -> bool:
            nonlocal loss
            loss = now if math.isnan(loss) else loss + 0.1 * (now - loss)
            progress.update(step, steps, f" loss {loss:.4g}, {rows_per_second:.0f} rows/s")
            told = Step(step, steps, now, rows_per_second)
            return any([callback(told) is True for callback in callbacks])

        shown = progress.is_shown or callbacks
        with progress:
            trained = _pfgm.Model.train(rows, options, report if shown else None, start)
            # The last step was shown with its loss, or the training ended before it.
            progress.total = 0
        self._adopt(trained["model"], array.shape[1:], columns)
        if self.classes_ is not None:
            self.classes_ = classes
        told = {name: np.asarray(values) for name, values in trained["history"].items()}
        self.history_ = History(**told)
        if trained["error"] is not None:
            raise trained["error"]
        return self

    def _options(self) -> dict[str, Any]:
        config = self.config
        base = None
        changes: dict[str, Any] = {}
        if isinstance(config, Mapping):
            for key, value in config.items():
                *tables, last = str(key).split(".")
                table = changes
                for name in tables:
                    table = table.setdefault(name, {})
                if isinstance(value, Mapping) and isinstance(table.get(last), dict):
                    table[last].update(value)
                else:
                    table[last] = dict(value) if isinstance(value, Mapping) else value
        elif config is not None:
            path = Path(fspath(config))
            base = path.read_text(encoding="utf-8") + "\n" if path.is_file() else fspath(config)
        return {
            "base": base,
            "changes": to_json(changes, "config"),
            "extra_dims": None if self.D is None else _number("D", self.D),
            "seed": None if base and self.random_state is None else training_seed(self.random_state),
            "sigma_min": None if self.sigma_min is None else _number("sigma_min", self.sigma_min),
            "sigma_max": None if self.sigma_max is None else _number("sigma_max", self.sigma_max),
            "conditional": self.conditional,
            "device": self.device,
            "steps": None if self.steps is None else count_of(self.steps, "steps"),
            "batch_size": None if self.batch_size is None else count_of(self.batch_size, "batch_size"),
            "learning_rate": None if self.learning_rate is None else _number("learning_rate", self.learning_rate),
            "held_out": 0 if self.held_out == 0 else count_of(self.held_out, "held_out"),
            "folder": None if self.folder is None else fspath(self.folder),
            "every_step": len(self.callbacks) > 0,
        }

    @staticmethod
    def _classes(y: Any, rows: int) -> tuple[Array, Array | None]:
        """The classes in order, and the number of each row's class."""
        if y is None:
            return np.empty(0), None
        values = np.asarray(y.to_numpy() if hasattr(y, "to_numpy") else y)
        if values.shape not in ((rows,), (rows, 1)):
            raise ValueError(f"y: shape {values.shape} for {rows} rows of X; give one class a row")
        values = values.reshape(-1)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("y: a class is not finite; give one class a row")
        try:
            classes, labels = np.unique(values, return_inverse=True)
        except TypeError as error:
            raise ValueError(f"y: classes of several types cannot be ordered: {error}") from error
        return classes, labels.reshape(-1).astype(np.uint32)

    def _native(
        self,
        array: Array,
        name: str,
        columns: Columns | None,
        value_range: tuple[float, float] | None,
        classes: tuple[Array | None, Sequence[str]],
    ) -> _pfgm.Rows:
        labels, names = classes
        about = {
            "name": name,
            "shape": list(array.shape[1:]),
            "labels": None if labels is None else labels.tolist(),
            "classes": list(names),
            "columns": columns.names if columns else [],
            "whole": [],
            "range": value_range,
        }
        return _pfgm.Rows(array.reshape(-1), about)

    def _adopt(self, model: _pfgm.Model, row_shape: tuple[int, ...], columns: Columns | None) -> None:
        """Takes a trained model over."""
        info = model.info()
        self.model_ = model
        self._row_shape = tuple(row_shape)
        self._columns = columns
        self._info = info
        self.n_features_in_ = len(columns.columns) if columns else int(np.prod(self._row_shape))
        if columns:
            self.feature_names_in_ = np.array(columns.own_names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.classes_ = np.array(info["classes"]) if info["classes"] else None

    def _fitted(self) -> _pfgm.Model:
        model: _pfgm.Model | None = getattr(self, "model_", None)
        if model is None:
            raise NotFittedError("this PoissonFlow is not fitted; call fit(X) first, or load a run with pfgm.load")
        return model

    @property
    def history(self) -> History:
        """Losses of the training."""
        self._fitted()
        if not hasattr(self, "history_"):
            raise AttributeError("history: this flow was loaded, not trained here; its run's folder has log.jsonl")
        return self.history_

    @property
    def info(self) -> dict[str, Any]:
        """What is known about the model: D, noise levels, classes, columns, steps, number of weights, configuration (JSON)."""
        self._fitted()
        return dict(self._info)

    # What the methods below have in common.

    def _how(
        self,
        what: str,
        solver: str | Mapping[str, Any] | None,
        solver_steps: int | None,
        guidance: float | None,
        batch_size: int | None,
        options: Mapping[str, Any],
    ) -> tuple[dict[str, Any], Progress]:
        self._fitted()
        progress = Progress(self.verbose, what)

        def report(stage: str, done: int, total: int, evaluations: int) -> None:
            progress.update(done, total, f", {evaluations} evaluations")

        # Small rows are computed in larger batches; results do not depend on it.
        default = 64 if len(self._row_shape) > 1 else 1024
        how = {
            "solver": solver_json(solver, solver_steps, options),
            "guidance": None if guidance is None else _number("guidance", guidance),
            "batch_size": default if batch_size is None else count_of(batch_size, "batch_size"),
            "progress": report if progress.is_shown else None,
        }
        return how, progress

    def _rows(self, X: Any, y: Any = None, name: str = "X") -> tuple[_pfgm.Rows, int]:
        """Rows of data for the fitted model."""
        self._fitted()
        if is_frame(X) and self._columns is None:
            X = X.to_numpy()
        if self._columns is not None and is_frame(X):
            X = self._columns.encode(X)
        array = rows_of(X, name, self._row_shape)
        labels = None
        names = self._info["classes"]
        if y is not None:
            asked = self._class_names(y, len(array))
            numbers = {name: number for number, name in enumerate(names)}
            unknown = [name for name in asked if name not in numbers]
            if unknown:
                raise ValueError(f"y: no class {unknown[0]!r}; there are {', '.join(names) or 'none'}")
            labels = np.array([numbers[str(name)] for name in asked], dtype=np.uint32)
        return self._native(array, name, self._columns, self._range_of(array), (labels, names)), len(array)

    def _range_of(self, array: Array) -> tuple[float, float] | None:
        """The fitted range for images that lie in it, if it is not one of those that the library tells apart by their values."""
        low, high = self._info["range"]
        if array.ndim == 2 or (low, high) in ((0, 255), (0, 1), (-1, 1)):
            return None
        least, most, span = float(array.min()), float(array.max()), high - low
        fits = least >= low - span / 2 and most <= high + span / 2 and most - least > span / 20
        return (low, high) if fits else None

    def _class_names(self, y: Any, rows: int) -> list[str | None]:
        """The names of classes: one for all rows, or one a row; None for no class."""
        if y is None:
            return [None] * rows
        if isinstance(y, str) or not isinstance(y, Iterable):
            values = [y] * rows
        else:
            values = list(y.tolist() if hasattr(y, "tolist") else y)
        if len(values) != rows:
            raise ValueError(f"y: {len(values)} classes for {rows} rows; give one, or one a row")
        return [None if value is None else self._class_name(value) for value in values]

    def _class_name(self, value: Any) -> str:
        names: list[str] = self._info["classes"]
        if not names:
            raise ValueError("y: the flow is not conditioned on classes; omit it")
        value = value.item() if isinstance(value, np.generic) else value
        name = str(value)
        if name in names:
            return name
        if isinstance(value, float) and value.is_integer() and str(int(value)) in names:
            return str(int(value))
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        raise ValueError(f"y: no class {value!r}; there are {', '.join(names)}")

    def _result(self, drawn: tuple[Array, list[int | None], float]) -> Any:
        """Rows that the native half made, in the form of the data that the flow was fitted on."""
        values, numbers, nfe = drawn
        rows = values.reshape((-1, *self._row_shape))
        if self._columns is not None:
            return self._columns.decode(rows)
        y = None
        if self.classes_ is not None and all(number is not None for number in numbers):
            y = self.classes_[np.array(numbers, dtype=np.int64)]
        return Samples(rows, y, nfe, self._info["range"])

    # Samples, latents, densities.

    def sample(
        self,
        n: int | None = None,
        *,
        y: Any = None,
        random_state: RandomState = None,
        seeds: Sequence[int] | None = None,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        latent_scale: float = 1.0,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Draw new rows.

        Parameters
        ----------
        n : int, optional
            How many. Default: as many as ``y`` or ``seeds`` has, or 1.
        y : class, or sequence of shape (n,), optional
            Class of all, or of each sample. Default: in the shares that the training data have.
        random_state : int, Generator or None
            Seed. Different integers give independent samples; ``sample(3)`` are the first of ``sample(10)`` with the same integer.
        seeds : sequence of int, optional
            The seed of each sample, as in ``pfgm sample --seeds``, instead of ``random_state``.
        solver : str or dict, optional
            Name of a solver (:func:`pfgm.solvers`) or its options. Default: the model's own, Heun's method with 18 steps.
        solver_steps : int, optional
            Steps of the solver.
        guidance : float, optional
            Classifier-free guidance scale; 1 disables it.
        latent_scale : float, default 1
            Factor of the latents: less than 1 gives more typical samples.
        batch_size : int, optional
            Samples that are computed together; samples do not depend on it.
        **solver_options
            Further options of the solver: ``rtol``, ``atol``, ``order``, ``schedule``, ``rho``, ``churn``, ``afs``, ...

        Returns
        -------
        Samples of shape (n, ...), or DataFrame
            Rows in the data's own units: float32, images clipped to the data's range.

        Examples
        --------
        >>> import pfgm
        >>> digits = pfgm.load("digits").sample(4, y=[1, 2, 3, 4], solver="ipndm", solver_steps=5, random_state=0)
        >>> digits.shape, digits.y.tolist()
        ((4, 8, 8), ['1', '2', '3', '4'])
        """
        how, progress = self._how("sampling", solver, solver_steps, guidance, batch_size, solver_options)
        if n is None:
            each = y if isinstance(y, Iterable) and not isinstance(y, str) else None
            n = len(list(seeds)) if seeds is not None else 1 if each is None else len(list(each))
        n = count_of(n)
        if seeds is None:
            first = seed_of(random_state)
            seeds = [(first + index) % (1 << 64) for index in range(n)]
        if len(seeds) != n:
            raise ValueError(f"seeds: {len(seeds)} seeds for {n} samples; give as many")
        what = {
            "seeds": [int(seed) for seed in seeds],
            "classes": None if y is None else self._class_names(y, n),
            "latent_scale": _number("latent_scale", latent_scale),
        }
        with progress:
            return self._result(self._fitted().sample(what, how))

    def encode(
        self,
        X: Any,
        y: Any = None,
        *,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> npt.NDArray[np.float64]:
        """Move rows up the flow to their latents, points of the prior.

        Parameters
        ----------
        X : array of shape (n, ...)
            Rows in the data's own units.
        y : array of shape (n,), optional
            Class of each row. Default: the unconditional flow.
        solver, solver_steps, guidance, batch_size, **solver_options
            As in :meth:`sample`; the solver must lead up as well as down. Default: ``"rk45"`` with a tolerance of 1e-4.

        Returns
        -------
        ndarray of float64, shape (n, ...)
            Latents at the highest noise level, in units of the standardized data.
        """
        how, progress = self._how("encoding", solver, solver_steps, guidance, batch_size, solver_options)
        rows, n = self._rows(X, y)
        with progress:
            latents, _ = self._fitted().encode(rows, how)
        return np.asarray(latents).reshape((n, *self._row_shape))

    def decode(
        self,
        z: Any,
        y: Any = None,
        *,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Move latents down the flow to data: the inverse of :meth:`encode`.

        Parameters
        ----------
        z : array of shape (n, ...)
            Latents.
        y : class, or sequence of shape (n,), optional
            Class of the rows.
        solver, solver_steps, guidance, batch_size, **solver_options
            As in :meth:`encode`.

        Returns
        -------
        Samples of shape (n, ...), or DataFrame
        """
        how, progress = self._how("decoding", solver, solver_steps, guidance, batch_size, solver_options)
        flat, shape, _ = points_of(z, "z", int(np.prod(self._row_shape)))
        with progress:
            return self._result(self._fitted().decode(flat, self._class_names(y, shape[0]), how))

    def interpolate(self, a: Any, b: Any, n: int = 8, *, y: Any = None, **how: Any) -> Any:
        """Rows on the way from a to b: spherical interpolation of their latents.

        Parameters
        ----------
        a, b : array of shape (...)
            One row each, in the data's own units.
        n : int, default 8
            How many rows, both ends included.
        y : class, optional
            Class of the rows.
        **how
            As in :meth:`encode`.

        Returns
        -------
        Samples of shape (n, ...)
        """
        self._fitted()
        ends = [np.asarray(as_array(row, name)).reshape((1, *self._row_shape)) for row, name in ((a, "a"), (b, "b"))]
        start, end = (self.encode(row, None if y is None else [y], **how).reshape(-1) for row in ends)
        between = self._fitted().interpolate(start, end, count_of(n))
        return self.decode(np.asarray(between).reshape((-1, *self._row_shape)), y, **how)

    def score_samples(
        self,
        X: Any,
        y: Any = None,
        *,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        trace: str = "auto",
        n_probes: int = 1,
        n_draws: int = 1,
        random_state: RandomState = 0,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> npt.NDArray[np.float64]:
        """Logarithm of the density of each row, by the change of variables along the flow.

        Parameters
        ----------
        X : array of shape (n, ...)
            Rows in the data's own units. Rows of bytes are dequantized with uniform noise.
        y : array of shape (n,), optional
            Class of each row, for the density given the class.
        solver, solver_steps, batch_size, **solver_options
            As in :meth:`encode`.
        trace : {"auto", "exact", "rademacher", "gaussian"}
            The divergence: exact, or Hutchinson's estimate. ``"auto"`` is exact for rows of at most 128 values.
        n_probes : int, default 1
            Probes of each row for the estimate.
        n_draws : int, default 1
            Dequantization samples of each row of bytes.
        random_state : int, Generator or None, default 0
            Seed of probes and dequantization.

        Returns
        -------
        ndarray of float64, shape (n,)
            Natural logarithms (nats) of densities in the data's own units.
        """
        how, progress = self._how("log-likelihood", solver, solver_steps, None, batch_size, solver_options)
        what = {
            "trace": trace,
            "n_probes": count_of(n_probes, "n_probes"),
            "n_draws": count_of(n_draws, "n_draws"),
            "seed": seed_of(random_state),
        }
        rows, _ = self._rows(X, y)
        with progress:
            logs, _ = self._fitted().log_density(rows, what, how)
        return np.asarray(logs)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`: the mean log density of rows in nats; larger is better.

        ``y`` is used if the flow is conditioned on classes.
        """
        self._fitted()
        return float(self.score_samples(X, y if self.classes_ is not None else None).mean())

    def posterior(
        self,
        a: Any,
        *,
        operator: Any,
        noise: float,
        n: int = 1,
        y: Any = None,
        random_state: RandomState = None,
        method: str = "mmps",
        iterations: int = 4,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> Any:
        """Draw rows from their posterior distribution given a linear measurement ``a = A x + noise``.

        Parameters
        ----------
        a : array of shape (M,)
            The measurement. With a mask, also a whole row, of which the known values are taken.
        operator : array of shape (M, N), mask of a row's shape, or object with ``matvec`` and ``rmatvec``
            A, on rows in the data's own units, flattened.
        noise : float
            Standard deviation of the measurement's noise, in its units.
        n : int, default 1
            How many rows.
        y : class, optional
            Class of the rows.
        random_state : int, Generator or None
            Seed.
        method : {"mmps", "pigdm"}
            How the covariance of the data given a point is approximated.
        iterations : int, default 4
            Steps of conjugate gradients of MMPS.
        solver, solver_steps, batch_size, **solver_options
            As in :meth:`sample`.

        Returns
        -------
        Samples of shape (n, ...), or DataFrame
        """
        how, progress = self._how("posterior", solver, solver_steps, None, batch_size, solver_options)
        native, values = operator_of(operator, a, self._row_shape)
        measured = {
            "a": values.tolist(),
            "noise": _number("noise", noise),
            "n": count_of(n),
            "seed": seed_of(random_state),
            "class": None if y is None else self._class_name(y),
            "method": method,
            "iterations": count_of(iterations, "iterations"),
        }
        with progress:
            return self._result(self._fitted().posterior(measured, native, how))

    # The network itself, in the space that it works in.

    def yhat(self, x: Any, sigma: Any, y: Any = None) -> Array:
        """The network's estimate of the field-weighted mean of the charges: a denoiser.

        Parameters
        ----------
        x : array of shape (n, ...)
            Points of the model's space; see :meth:`to_model_space`.
        sigma : float, or array of shape (n,)
            Noise levels.
        y : class, or sequence of shape (n,), optional
            Class of each point.

        Returns
        -------
        ndarray of the shape and type of x
        """
        model = self._fitted()
        flat, shape, dtype = points_of(x, "x", int(np.prod(self._row_shape)))
        found = model.yhat(flat, levels_of(sigma, shape[0]), self._class_names(y, shape[0]))
        return np.asarray(found).reshape(shape).astype(dtype, copy=False)

    def vjp(self, x: Any, sigma: Any, v: Any, y: Any = None) -> Array:
        """The product of v with the Jacobian of yhat, ``v^T (d yhat / d x)``, of each row: what backpropagation through yhat needs.

        Parameters
        ----------
        x, sigma, y
            As in :meth:`yhat`.
        v : array of the shape of x
            A vector for each point.

        Returns
        -------
        ndarray of the shape and type of x
        """
        model = self._fitted()
        flat, shape, dtype = points_of(x, "x", int(np.prod(self._row_shape)))
        vector = doubles(v, "v")
        names = self._class_names(y, shape[0])
        _, product = model.vjp(flat, levels_of(sigma, shape[0]), names, vector)
        return np.asarray(product).reshape(shape).astype(dtype, copy=False)

    def to_model_space(self, X: Any) -> npt.NDArray[np.float64]:
        """Rows as points of the model's space: columns standardized, images scaled to [-1, 1]; shape (n, ...), float64."""
        rows, n = self._rows(X)
        return np.asarray(self._fitted().to_model_space(rows)).reshape((n, *self._row_shape))

    def to_data_units(self, x: Any) -> Any:
        """Points of the model's space as rows in the data's own units: the inverse of :meth:`to_model_space`."""
        model = self._fitted()
        flat, shape, _ = points_of(x, "x", int(np.prod(self._row_shape)))
        return self._result((np.asarray(model.to_data_units(flat)), [None] * shape[0], math.nan))

    # Files.

    def save(self, path: str | PathLike[str]) -> PoissonFlow:
        """Write the flow to the folder of a run, which :func:`pfgm.load` and the program ``pfgm`` read.

        Returns
        -------
        self
        """
        self._fitted().save(fspath(path))
        about = {
            "row_shape": list(self._row_shape),
            "classes": None if self.classes_ is None else self.classes_.tolist(),
            "columns": None if self._columns is None else self._columns.to_json(),
        }
        (Path(path) / _SIDECAR).write_text(json.dumps(about, default=str), encoding="utf-8")
        return self

    @classmethod
    def _of(cls, model: _pfgm.Model, path: Path | None = None) -> PoissonFlow:
        """An estimator of a model that was trained elsewhere."""
        info = model.info()
        train = json.loads(info["config"])["train"]
        flow = cls(
            D=info["D"],
            steps=train["steps"],
            batch_size=train["batch"],
            learning_rate=train["lr"],
            random_state=train["seed"],
        )
        sidecar = path / _SIDECAR if path is not None else None
        about = json.loads(sidecar.read_text(encoding="utf-8")) if sidecar is not None and sidecar.is_file() else {}
        columns = about.get("columns")
        flow._adopt(
            model,
            tuple(about.get("row_shape") or info["row_shape"]),
            Columns.from_json(columns) if columns else None,
        )
        if about.get("classes") and flow.classes_ is not None:
            flow.classes_ = np.array(about["classes"])
        return flow

    # Text.

    def __repr__(self) -> str:
        defaults = {name: parameter.default for name, parameter in self._parameters().items()}
        given = [f"{name}={value!r}" for name, value in self.get_params().items() if value is not defaults[name]]
        return f"PoissonFlow({', '.join(given)})"

    def _repr_html_(self) -> str:
        rows = [("parameters", html.escape(repr(self)))]
        picture = ""
        if hasattr(self, "model_"):
            info = self._info
            rows += [
                ("D", f"{info['D']:g}"),
                ("rows of shape", html.escape(str(self._row_shape))),
                ("classes", html.escape(", ".join(info["classes"][:12]) or "none")),
                ("noise levels", f"{info['sigma_min']:g} to {info['sigma_max']:g}"),
                ("network", f"{json.loads(info['config'])['network']['kind']}, {info['weights']:,} weights"),
                ("steps", f"{info['step']:,}"),
            ]
            if hasattr(self, "history_") and len(self.history_.loss):
                png = base64.b64encode(self.history_.plot()).decode("ascii")
                picture = f'<img alt="loss" width="420" src="data:image/png;base64,{png}">'
        cells = "".join(f"<tr><th style='text-align:left'>{name}</th><td>{text}</td></tr>" for name, text in rows)
        return f"<div><table>{cells}</table>{picture}</div>"


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or math.isnan(value):
        raise ValueError(f"{name}: {value!r}; give a number")
    return float(value)


def load(path: str | PathLike[str], *, device: str = "cpu") -> PoissonFlow:
    """Load a run's folder, a checkpoint file, or a bundled model.

    Parameters
    ----------
    path : path or str
        Folder of a run (of this package or the program ``pfgm``), a ``.safetensors`` checkpoint, or ``"digits"``, ``"fashion-mnist"``.
    device : str, default "cpu"
        Device of the network.

    Returns
    -------
    PoissonFlow
        A fitted flow.

    Examples
    --------
    >>> import pfgm
    >>> pfgm.load("fashion-mnist").info["row_shape"]
    [28, 28]
    """
    return PoissonFlow._of(_pfgm.Model.load(fspath(path), device), Path(path))


def import_checkpoint(
    path: str | PathLike[str],
    *,
    method: str | None = None,
    size: tuple[int, int] | None = None,
    D: float | None = None,
    images: tuple[float, float] | None = None,
    device: str = "cpu",
) -> PoissonFlow:
    """Import a published checkpoint of PFGM, PFGM++, EDM, a score model or diffusers. Nothing in the file is executed.

    Parameters
    ----------
    path : path
        A PyTorch checkpoint (.pth, .pt, .pkl), a safetensors file, or a folder of diffusers.
    method : {"pfgm", "ve", "vp", "sub-vp", "pfgmpp", "edm"}, optional
        How the network was trained. Default: found from its tensors, or as published.
    size : (int, int), optional
        Height and width of the images in pixels.
    D : float, optional
        Number of extra dimensions, for PFGM++.
    images : (float, float), optional
        Range that images were scaled to in training.
    device : str, default "cpu"
        Device of the network.

    Returns
    -------
    PoissonFlow
        A fitted flow; ``flow.info["assumptions"]`` lists what the file does not say.
    """
    published = {"method": method, "size": size, "extra_dims": D, "images": images}
    return PoissonFlow._of(_pfgm.Model.import_checkpoint(fspath(path), published, device))
