"""Linear operators of measurements for the native half."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import as_array, doubles

#: A mask, a flat matrix, or two functions and the length of a measurement.
Native = npt.NDArray[np.bool_] | npt.NDArray[np.float64] | tuple[Callable[..., Any], Callable[..., Any], int]


def operator_of(
    operator: Any, a: Any, row_shape: tuple[int, ...]
) -> tuple[Native, npt.NDArray[np.float64], int]:
    """The operator as the native half takes it, the measurements as a flat array, and their number."""
    dim = int(np.prod(row_shape))
    given = as_array(a, "a")
    values = doubles(given, "a")
    if hasattr(operator, "matvec") and hasattr(operator, "rmatvec"):
        native, outputs = _functions(operator, dim)
        return native, _finite(values), _count(values, outputs)
    array = as_array(operator, "operator")
    if array.dtype == np.bool_ and array.size == dim:
        mask = np.ascontiguousarray(array).reshape(-1)
        if given.shape[-len(row_shape) :] == row_shape or given.shape[-1:] == (dim,):
            # Whole rows: what is not known may be anything, NaN for instance.
            values = np.ascontiguousarray(values.reshape(-1, dim)[:, mask]).reshape(-1)
        return mask, _finite(values), _count(values, int(mask.sum()))
    if array.ndim != 2 or array.shape[1] != dim:
        raise ValueError(f"operator: shape {array.shape}; give (M, {dim}), or a mask of the row's shape {row_shape}")
    return doubles(array, "operator"), _finite(values), _count(values, array.shape[0])


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not np.isfinite(values).all():
        raise ValueError("a: a value is not finite; mask what is unknown")
    return values


def _count(values: npt.NDArray[np.float64], outputs: int) -> int:
    """How many measurements there are."""
    if outputs == 0 or values.size == 0 or values.size % outputs:
        raise ValueError(f"a: {values.size} values, but the operator returns {outputs}")
    return values.size // outputs


def _functions(operator: Any, dim: int) -> tuple[Native, int]:
    shape = tuple(operator.shape)
    if len(shape) != 2 or shape[1] != dim:
        raise ValueError(f"operator: shape {shape}; give (M, {dim})")

    def flat(function: Callable[..., Any], size: int) -> Callable[..., npt.NDArray[np.float64]]:
        def call(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            found = doubles(function(x), "operator")
            if found.size != size:
                raise ValueError(f"operator: returned {found.size} values, expected {size}")
            return found

        return call

    return (flat(operator.matvec, shape[0]), flat(operator.rmatvec, dim), shape[0]), shape[0]
