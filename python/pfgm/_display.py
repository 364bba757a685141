"""Progress bars, and pictures that notebooks show."""

from __future__ import annotations

import importlib
import io
import sys
import time
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from . import _pfgm
from ._arrays import Array, as_array, is_frame
from ._arrow import ArrowTable, is_arrow


def _notebook() -> Any:
    """The module ``IPython.display`` if this runs in a notebook's kernel."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    return importlib.import_module("IPython.display")


class Progress:
    """A line that shows how far a computation is: on standard error in a terminal, as text that changes in a notebook.

    ``verbose`` is True for always, False for never, None for where somebody watches.
    """

    #: Seconds after which the line first appears, so that short computations show none.
    AFTER = 0.5

    def __init__(self, verbose: bool | int | None, what: str) -> None:
        self.what = what
        self.started = time.monotonic()
        self.display = _notebook() if verbose is None or verbose else None
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.is_shown = bool(verbose) or (verbose is None and (terminal or self.display is not None))
        self.returns = "\r" if terminal else ""
        self.handle: Any = None
        self.width = 0
        self.total = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if kind is None and self.width and self.total:
            self.update(self.total, self.total)
        if self.returns and self.width and self.display is None:
            sys.stderr.write("\n")
            sys.stderr.flush()

    def update(self, done: int, total: int, more: str = "") -> None:
        """Shows that ``done`` of ``total`` is done."""
        self.total = total
        elapsed = time.monotonic() - self.started
        if not self.is_shown or (elapsed < self.AFTER and self.width == 0):
            return
        share = done / max(total, 1)
        left = f", {_duration(elapsed / share - elapsed)} left" if 0 < share < 1 else f", {_duration(elapsed)}"
        bar = "#" * round(20 * share)
        self._write(f"{self.what} [{bar:<20}] {done}/{total}{more}{left}")

    def _write(self, line: str) -> None:
        if self.display is not None:
            content = {"text/plain": line}
            if self.handle is None:
                self.handle = self.display.display(content, raw=True, display_id=True)
            else:
                self.handle.update(content, raw=True)
            self.width = len(line)
        elif self.returns:
            sys.stderr.write(f"\r{line:<{self.width}}")
            sys.stderr.flush()
            self.width = max(self.width, len(line))
        elif self.width == 0 or time.monotonic() - self.started > 10 * self.width:
            # Where lines cannot be written over, one every ten seconds is enough.
            print(line, file=sys.stderr)
            self.width = int((time.monotonic() - self.started) / 10) + 1


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


class Picture(bytes):
    """A PNG file in memory, which notebooks show.

    Examples
    --------
    >>> import numpy as np, pfgm
    >>> picture = pfgm.plot(np.zeros((2, 8, 8)))
    >>> picture[:4]
    b'\\x89PNG'
    """

    def _repr_png_(self) -> bytes:
        return bytes(self)

    def __repr__(self) -> str:
        return f"<PNG of {len(self)} bytes; save(path) writes it>"

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes the picture to a file, and returns its path."""
        path = Path(path)
        path.write_bytes(self)
        return path


def plot(X: Any, *, columns: int | None = None, value_range: tuple[float, float] | None = None, ax: Any = None) -> Any:
    """Draw images as a grid, points of two columns as a scatter plot, and other tables as histograms.

    Parameters
    ----------
    X : array of shape (n, height, width[, channels]) or (n, N), or DataFrame
        Rows in the data's own units.
    columns : int, optional
        Images in a row of the grid. Default: as many as make it a square.
    value_range : (float, float), optional
        Values that are shown as black and white. Default: 0 to 255 if the values fit, or their own range.
    ax : matplotlib axes, optional
        Draw there instead; matplotlib is used only then.

    Returns
    -------
    Picture or ax
        PNG bytes, which a notebook shows.

    Examples
    --------
    >>> import pfgm
    >>> digits, _ = pfgm.datasets.load_digits()
    >>> pfgm.plot(digits[:20], columns=10)
    <PNG of ... bytes; save(path) writes it>
    """
    names: list[str] = []
    if is_frame(X):
        X = X.select_dtypes("number")
        names = [str(name) for name in X.columns]
    elif is_arrow(X):
        table = ArrowTable(X)
        names = [name for name in table.columns if table[name].kind in ("number", "whole")]
        X = np.stack([table[name].to_numpy(np.float64, np.nan) for name in names], axis=1)
    array = np.ascontiguousarray(as_array(X, "X"), dtype=np.float32)
    if array.ndim > 2:
        return _images(array, columns, value_range, ax)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"X: shape {array.shape}; give rows")
    names = names or [f"x{number}" for number in range(array.shape[1])]
    if ax is not None:
        ax.scatter(array[:, 0], array[:, min(1, array.shape[1] - 1)], s=4)
        return ax
    series = [("", array.reshape(-1))]
    if array.shape[1] == 2:
        return Picture(_pfgm.scatter(series, [names[0], names[1]], ""))
    return Picture(_pfgm.histograms(series, names))


def _images(array: Array, columns: int | None, value_range: tuple[float, float] | None, ax: Any) -> Any:
    if array.ndim > 4 or array.size == 0:
        raise ValueError(f"X: shape {array.shape}; give (n, height, width) or (n, height, width, channels)")
    n, height, width = array.shape[:3]
    channels = array.shape[3] if array.ndim == 4 else 1
    low, high = value_range or _range_of(array)
    columns = columns or int(np.ceil(np.sqrt(n)))
    png = Picture(_pfgm.grid(array.reshape(-1), [height, width, channels], (low, high), columns))
    if ax is None:
        return png
    image: Any = importlib.import_module("matplotlib.image")
    ax.imshow(image.imread(io.BytesIO(png), format="png"))
    ax.set_axis_off()
    return ax


def _range_of(array: Array) -> tuple[float, float]:
    """The range that images are likely to be stored in."""
    low, high = float(array.min()), float(array.max())
    for nominal in ((0.0, 1.0), (-1.0, 1.0), (0.0, 16.0), (0.0, 255.0)):
        if low >= nominal[0] and nominal[1] / 2 < high <= nominal[1]:
            return nominal
    return low, high


class Samples(np.ndarray[Any, np.dtype[Any]]):
    """Samples as an array that can draw itself. Results of arithmetic are plain arrays.

    Attributes
    ----------
    y : ndarray of shape (n,), or None
        Class of each sample; None for a flow without classes.
    nfe : float
        Evaluations of yhat a sample, on average.
    value_range : (float, float), or None
        Values of black and white, for images.
    sigma : ndarray of shape (n,), or None
        Noise level that was removed from each row, of :meth:`PoissonFlow.denoise`.
    """

    y: Array | None
    nfe: float
    value_range: tuple[float, float] | None
    sigma: Array | None

    def __new__(
        cls, array: Array, y: Array | None = None, nfe: float = float("nan"), value_range: tuple[float, float] | None = None
    ) -> Samples:
        samples = np.asarray(array).view(cls)
        samples.y, samples.nfe, samples.value_range, samples.sigma = y, nfe, value_range, None
        return samples

    def __array_finalize__(self, source: Any) -> None:
        # A slice has other rows, whose classes are not known here.
        self.y = self.sigma = None
        self.nfe = getattr(source, "nfe", float("nan"))
        self.value_range = getattr(source, "value_range", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if plain.ndim == 0 else plain

    def plot(self, *, columns: int | None = None, ax: Any = None) -> Any:
        """Draw the samples; see :func:`pfgm.plot`."""
        images = self.ndim > 2
        return plot(np.asarray(self), columns=columns, value_range=self.value_range if images else None, ax=ax)
