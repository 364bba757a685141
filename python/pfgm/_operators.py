"""Linear operators of measurements for the native half."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, doubles

#: A mask, a flat matrix, or two functions and the length of a measurement.
Native = npt.NDArray[np.bool_] | npt.NDArray[np.float64] | tuple[Callable[..., Any], Callable[..., Any], int]


def operator_of(operator: Any, a: Any, row_shape: tuple[int, ...]) -> tuple[Native, npt.NDArray[np.float64]]:
    """The operator as the native half takes it, and the measurement as a flat array."""
    dim = int(np.prod(row_shape))
    values = doubles(a, "a")
    if not np.isfinite(values).all():
        raise ValueError("a: a value is not finite; mask what is unknown")
    if hasattr(operator, "matvec") and hasattr(operator, "rmatvec"):
        return _functions(operator, values, dim)
    array = as_array(operator, "operator")
    if array.dtype == np.bool_ and array.size == dim:
        mask = np.ascontiguousarray(array).reshape(-1)
        return mask, np.ascontiguousarray(values[mask]) if values.size == dim else values
    if array.ndim != 2 or array.shape[1] != dim:
        raise ValueError(f"operator: shape {array.shape}; give (M, {dim}), or a mask of the row's shape {row_shape}")
    if values.size != array.shape[0]:
        raise ValueError(f"a: {values.size} values, but the operator returns {array.shape[0]}")
    return doubles(array, "operator"), values


def _functions(operator: Any, values: npt.NDArray[np.float64], dim: int) -> tuple[Native, npt.NDArray[np.float64]]:
    shape = tuple(operator.shape)
    if len(shape) != 2 or shape[1] != dim:
        raise ValueError(f"operator: shape {shape}; give (M, {dim})")
    if values.size != shape[0]:
        raise ValueError(f"a: {values.size} values, but the operator returns {shape[0]}")

    def flat(function: Callable[..., Any], size: int) -> Callable[..., npt.NDArray[np.float64]]:
        def call(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            found = doubles(function(x), "operator")
            if found.size != size:
                raise ValueError(f"operator: returned {found.size} values, expected {size}")
            return found

        return call

    return (flat(operator.matvec, shape[0]), flat(operator.rmatvec, dim), shape[0]), values
