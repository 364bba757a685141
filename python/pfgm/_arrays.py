"""Arrays of any library as rows for the native half, and back."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
#: What a caller may give as the source of randomness.
RandomState = int | np.integer[Any] | np.random.Generator | np.random.RandomState | None

_MOST = 1 << 64


def as_array(value: Any, name: str) -> Array:
    """Any array-like as a NumPy array: lists, tensors by ``__array__`` or ``__dlpack__``; without a copy where possible."""
    if not isinstance(value, np.ndarray):
        if hasattr(value, "detach") and hasattr(value, "cpu"):
            value = value.detach().cpu()
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            value = np.from_dlpack(value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: rows differ in length; give an array of numbers") from error
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name}: values of type {array.dtype} are not real numbers; convert them first")
    return array


def doubles(value: Any, name: str) -> npt.NDArray[np.float64]:
    """A flat array of double precision, whose memory is contiguous."""
    return np.ascontiguousarray(as_array(value, name), dtype=np.float64).reshape(-1)


def rows_of(value: Any, name: str, shape: tuple[int, ...] | None = None) -> Array:
    """Rows as an array of shape ``(n, N)``, ``(n, height, width)`` or ``(n, height, width, channels)``, of a type the library reads."""
    array = as_array(value, name)
    if array.ndim < 2:
        hint = f"{name}.reshape(-1, 1)" if array.ndim == 1 else f"[{name}]"
        raise ValueError(f"{name}: shape {array.shape} has no rows of values; give one row a sample, as in {hint}")
    if array.ndim > 4:
        raise ValueError(f"{name}: shape {array.shape}; give (n, N), (n, height, width) or (n, height, width, channels)")
    if array.size == 0:
        raise ValueError(f"{name}: shape {array.shape} has no values; give at least one row")
    if shape is not None and array.shape[1:] != shape:
        if int(np.prod(array.shape[1:])) != int(np.prod(shape)) or not _differ_in_channels(array.shape[1:], shape):
            raise ValueError(f"{name}: rows of shape {array.shape[1:]}, but the flow was fitted on rows of shape {shape}")
        array = array.reshape((len(array), *shape))
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind in "iu" and array.ndim > 2 and array.min() >= 0 and array.max() <= 255:
        return np.ascontiguousarray(array, dtype=np.uint8)
    wide = array.ndim == 2 and array.dtype.itemsize > 2 and array.dtype not in (np.float32, np.bool_)
    return np.ascontiguousarray(array, dtype=np.float64 if wide else np.float32)


def _differ_in_channels(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether shapes of gray images differ by an axis of one channel only."""
    return (*given, 1) == wanted or given == (*wanted, 1)


def image_range(array: Array, given: Any = None) -> tuple[float, float] | None:
    """Values of black and white of images: those given, or found here; None where the library's rule decides.

    Bytes whose values are all small, such as digits from 0 to 16, do not have the range of bytes.
    """
    if given is not None:
        try:
            low, high = (float(end) for end in given)
        except (TypeError, ValueError):
            low = high = float("nan")
        if not (np.isfinite([low, high]).all() and low < high):
            raise ValueError(f"value_range: {given!r}; give two finite numbers, the lower first")
        return low, high
    if array.ndim > 2 and array.dtype == np.uint8 and 0 < array.max() < 64:
        return 0.0, float(array.max())
    return None


def points_of(value: Any, name: str, dim: int) -> tuple[npt.NDArray[np.float64], tuple[int, ...], np.dtype[Any]]:
    """Points as a flat array, with the shape and the type that results should have."""
    array = as_array(value, name)
    if array.ndim < 2 or array.size != len(array) * dim:
        raise ValueError(f"{name}: shape {array.shape}; give rows of {dim} values")
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    return doubles(array, name), array.shape, dtype


def levels_of(sigma: Any, rows: int) -> npt.NDArray[np.float64]:
    """A noise level for each row, from a number or one number a row."""
    levels = np.asarray(as_array(sigma, "sigma"), dtype=np.float64)
    if levels.size == 1:
        levels = np.full(rows, levels.reshape(-1)[0])
    levels = levels.reshape(-1)
    if len(levels) != rows:
        raise ValueError(f"sigma: {len(levels)} noise levels for {rows} rows; give one, or one a row")
    if not (np.isfinite(levels).all() and (levels > 0).all()):
        raise ValueError("sigma: noise levels must be finite and above 0")
    return np.ascontiguousarray(levels)


def seed_of(random_state: RandomState) -> int:
    """The seed of the first row. Different integers give unrelated seeds, so that their draws are independent."""
    if random_state is None:
        return secrets.randbits(64)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(0, _MOST - 1, dtype=np.uint64, endpoint=True))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(0, _MOST - 1, dtype=np.uint64))
    return int(np.random.SeedSequence(_whole(random_state)).generate_state(1, np.uint64)[0])


def training_seed(random_state: RandomState) -> int:
    """The seed of a training: the integer itself, so that the program's training with this seed is the same."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        return _whole(random_state) % (1 << 63)
    return seed_of(random_state) % (1 << 63)


def _whole(random_state: Any) -> int:
    if isinstance(random_state, bool) or not isinstance(random_state, (int, np.integer)) or random_state < 0:
        raise ValueError(f"random_state: {random_state!r}; give a whole number from 0, a numpy Generator or None")
    return int(random_state)


def count_of(n: Any, name: str = "n") -> int:
    """A whole number of at least 1."""
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ValueError(f"{name}: {n!r}; give a whole number of at least 1")
    return int(n)


def solver_json(
    solver: str | Mapping[str, Any] | None, solver_steps: int | None, options: Mapping[str, Any]
) -> str:
    """A solver and its options as the table that the native half reads."""
    table: dict[str, Any] = {}
    if isinstance(solver, Mapping):
        table.update(solver)
    elif isinstance(solver, str):
        table["method"] = solver
    elif solver is not None:
        raise ValueError(f"solver: {solver!r}; give the name of a solver, such as 'rk45', or a dictionary of its options")
    if solver_steps is not None:
        table["steps"] = count_of(solver_steps, "solver_steps")
    table.update({key: value for key, value in options.items() if value is not None})
    return to_json(table, "solver")


def to_json(value: Any, name: str) -> str:
    """JSON of plain data; infinity becomes the string that the library reads."""

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): plain(inner) for key, inner in value.items()}
        if isinstance(value, np.ndarray):
            return [plain(inner) for inner in value.tolist()]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not np.isfinite(value):
            return "inf" if value > 0 else str(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [plain(inner) for inner in value]
        return value

    try:
        return json.dumps(plain(value))
    except TypeError as error:
        raise ValueError(f"{name}: {error}; give numbers, strings, lists and dictionaries") from error


def is_frame(value: Any) -> bool:
    """Whether a value is a DataFrame of pandas; pandas is not imported for that."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch; PyTorch is not imported for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
