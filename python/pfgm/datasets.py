"""Data sets as arrays: built in, or read from files by the library's readers."""

from __future__ import annotations

import warnings
from os import PathLike, fspath
from typing import Any, NamedTuple

import numpy as np

from . import _pfgm
from ._arrays import Array

__all__ = ["Data", "load", "load_digits", "load_heart", "names"]


class Data(NamedTuple):
    """A data set.

    Attributes
    ----------
    X : ndarray of shape (n, N) or (n, height, width[, channels])
        Rows in their own units: uint8 for images of bytes, otherwise float32, or float64 for columns far from zero.
    y : ndarray of shape (n,), or None
        Name of each row's class.
    """

    X: Array
    y: Array | None


def names() -> list[str]:
    """Names of the built-in data sets.

    Examples
    --------
    >>> import pfgm
    >>> pfgm.datasets.names()[:2]
    ['digits', 'heart']
    """
    return _pfgm.sources()


def load(
    source: str | PathLike[str],
    *,
    columns: tuple[str, ...] | list[str] = (),
    label: str | None = None,
    shrink: int = 1,
    side: int = 0,
    array: str | None = None,
    labels: str | None = None,
    value_range: tuple[float, float] | None = None,
) -> Data:
    """Load a built-in data set, or a file or folder of any format that the program reads.

    What the reader left out or decided is a ``UserWarning`` each.

    Parameters
    ----------
    source : str or path
        ``"digits"``, ``"heart"``, ... (:func:`names`), or a path: folders and archives of images, IDX, CIFAR, .npy, .npz, .mat, tables.
    columns : sequence of str
        Columns of a table to read; all by default.
    label : str, optional
        Column of a table that holds the class.
    shrink : int
        How many times smaller images are made.
    side : int
        Side of the square that the middle of images is scaled to; 0 leaves them.
    array, labels : str, optional
        Arrays of an archive that hold the data and the classes.
    value_range : (float, float), optional
        Nominal range of the values.

    Returns
    -------
    Data
        A tuple of ``X`` and ``y``.

    Examples
    --------
    >>> import pfgm
    >>> X, y = pfgm.datasets.load("digits")
    >>> X.shape, X.dtype.name, y[:3].tolist()
    ((1797, 8, 8), 'uint8', ['0', '1', '2'])
    """
    how = {
        "columns": list(columns),
        "label": label,
        "shrink": shrink,
        "side": side,
        "array": array,
        "labels": labels,
        "range": value_range,
    }
    found: dict[str, Any] = _pfgm.open(fspath(source), how)
    for notice in found["notices"]:
        warnings.warn(f"{fspath(source)}: {notice}", UserWarning, stacklevel=2)
    X = np.asarray(found["values"]).reshape((-1, *found["shape"]))
    if found["labels"] is None:
        return Data(X, None)
    numbers, classes = found["labels"]
    return Data(X, np.array(classes)[np.asarray(numbers)])


def load_digits() -> Data:
    """1797 handwritten digits: ``X`` of shape (1797, 8, 8), uint8 from 0 to 16; ``y`` their names."""
    return load("digits")


def load_heart() -> Data:
    """2000 points of a heart in the plane: ``X`` of shape (2000, 2); ``y`` is None."""
    return load("heart")
