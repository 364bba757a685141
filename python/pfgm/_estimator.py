"""The estimator: a Poisson flow with scikit-learn's habits."""

from __future__ import annotations

import base64
import html
import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from . import _pfgm
from ._arrays import RandomState
from ._densities import Densities
from ._layer import Layer
from ._restoration import Restoration
from ._sampling import Sampling
from ._tables import Columns
from ._training import History, Step, Training

#: The file of a run's folder with what only Python knows about it.
_SIDECAR = "python.json"
#: Formats of :meth:`PoissonFlow.export`.
_FORMATS = ("safetensors", "onnx", "diffusers")
#: Parts of a flow that ``export`` writes as ONNX.
_PARTS = ("flow", "encoder", "decoder")


class PoissonFlow(Training, Sampling, Densities, Restoration, Layer):
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
            "history": self.history_.to_json() if hasattr(self, "history_") else None,
        }
        (Path(path) / _SIDECAR).write_text(json.dumps(about, default=str), encoding="utf-8")
        return self

    def export(self, path: str | PathLike[str], *, format: str = "safetensors", part: str = "flow") -> PoissonFlow:
        """Write the network for other programs.

        Parameters
        ----------
        path : path
            The file to write, or the folder for ``"diffusers"``.
        format : {"safetensors", "onnx", "diffusers"}, default "safetensors"
            ``"safetensors"`` is a checkpoint, which :func:`pfgm.load` reads. ``"onnx"`` is a graph of ``yhat(x, sigma, labels)`` (opset 18)
            in the model's space: images are channels-first, labels one-hot. Of a distilled run it is the consistency function ``f``.
            ``"diffusers"`` is a pipeline's folder, for networks that the library has.
        part : {"flow", "encoder", "decoder"}, default "flow"
            What is written as ONNX: the network, or half of the autoencoder of a flow of latents.

        Returns
        -------
        self
        """
        if format not in _FORMATS:
            raise ValueError(f"format: {format!r}; give one of {', '.join(_FORMATS)}")
        if part not in _PARTS:
            raise ValueError(f"part: {part!r}; give one of {', '.join(_PARTS)}")
        if part != "flow" and format != "onnx":
            raise ValueError(f"part: {part!r} is for format='onnx' only")
        self._fitted().export(fspath(path), format, part)
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
        log = path / "log.jsonl" if path is not None else None
        if about.get("history"):
            flow.history_ = History(**{name: np.array(values) for name, values in about["history"].items()})
        elif log is not None and log.is_file():
            flow.history_ = History.read(log)
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
            config = html.escape(json.dumps(json.loads(info["config"]), indent=2))
            picture += f"<details><summary>configuration</summary><pre>{config}</pre></details>"
        cells = "".join(f"<tr><th style='text-align:left'>{name}</th><td>{text}</td></tr>" for name, text in rows)
        return f"<div><table>{cells}</table>{picture}</div>"


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
    autoencoder: str | PathLike[str] | None = None,
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
    autoencoder : path, optional
        Autoencoder of a network of latents: a folder of diffusers' AutoencoderKL, or ``"hf:OWNER/NAME"``.
    device : str, default "cpu"
        Device of the network.

    Returns
    -------
    PoissonFlow
        A fitted flow; ``flow.info["assumptions"]`` lists what the file does not say.
    """
    decoder = None if autoencoder is None else fspath(autoencoder)
    published = {"method": method, "size": size, "extra_dims": D, "images": images, "autoencoder": decoder}
    return PoissonFlow._of(_pfgm.Model.import_checkpoint(fspath(path), published, device))
