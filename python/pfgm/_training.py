"""Training of a flow, and its losses."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _pfgm
from ._arrays import Array, RandomState, count_of, image_range, rows_of, to_json, training_seed
from ._display import Picture, Progress
from ._fitted import Fitted, number_of
from ._tables import Columns, is_table, plain

if TYPE_CHECKING:
    from typing_extensions import Self


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
        Every step; of a run of the program, the steps that it logged.
    loss : ndarray of float, shape (steps,)
        Loss of each step, per row and coordinate; of a run of the program, the mean since the step before.
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

    def to_json(self) -> dict[str, list[float]]:
        """Plain data that the constructor takes, as arrays."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def read(cls, log: Path) -> History:
        """The losses of a run's ``log.jsonl``: each line is the mean since the one before."""
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
        held_out = [line for line in lines if line.get("held_out_loss") is not None]
        return cls(
            np.array([line["step"] for line in lines], dtype=np.int64),
            np.array([line["loss"] for line in lines], dtype=np.float64),
            np.array([line["seconds"] for line in lines], dtype=np.float64),
            np.array([line["step"] for line in held_out], dtype=np.int64),
            np.array([line["held_out_loss"] for line in held_out], dtype=np.float64),
        )


class Training(Fitted):
    """``fit`` and ``history``."""

    D: float | None
    steps: int | None
    batch_size: int | None
    learning_rate: float | None
    sigma_min: float | None
    sigma_max: float | None
    conditional: bool | None
    config: str | PathLike[str] | Mapping[str, Any] | None
    value_range: tuple[float, float] | None
    held_out: int
    folder: str | PathLike[str] | None
    device: str
    warm_start: bool
    random_state: RandomState
    callbacks: Sequence[Callable[[Step], Any]]
    history_: History

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train a new flow on the rows of X; the interpreter's lock is released meanwhile.

        Ctrl-C ends the training within a step: ``KeyboardInterrupt`` is raised, and the flow is fitted with what it has learned.

        Parameters
        ----------
        X : array of shape (n, N), (n, height, width) or (n, height, width, channels), or a table
            Rows in their own units. Columns of numbers are standardized; categories become as many 0/1 columns as they have values.
        y : array of shape (n,), optional
            Class of each row, of any type.

        Returns
        -------
        self
        """
        options = self._options()
        columns = Columns.of(X) if is_table(X) else None
        array = columns.encode(X) if columns else plain(X)
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
            "extra_dims": None if self.D is None else number_of("D", self.D),
            "seed": None if base and self.random_state is None else training_seed(self.random_state),
            "sigma_min": None if self.sigma_min is None else number_of("sigma_min", self.sigma_min),
            "sigma_max": None if self.sigma_max is None else number_of("sigma_max", self.sigma_max),
            "conditional": self.conditional,
            "device": self.device,
            "steps": None if self.steps is None else count_of(self.steps, "steps"),
            "batch_size": None if self.batch_size is None else count_of(self.batch_size, "batch_size"),
            "learning_rate": None if self.learning_rate is None else number_of("learning_rate", self.learning_rate),
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

    @property
    def history(self) -> History:
        """Losses of the training; of a loaded run, those of its log."""
        self._fitted()
        if not hasattr(self, "history_"):
            raise AttributeError("history: this flow was loaded from a file without losses; the folder of a run has them in log.jsonl")
        return self.history_
