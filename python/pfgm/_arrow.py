"""Tables of Arrow: pyarrow's own, and those of any library that exports Arrow streams, such as polars."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import Array


def is_arrow(value: Any) -> bool:
    """Whether a value is a table of Arrow or exports one; pandas has its own way."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return False
    # Single columns export streams, too; they are arrays.
    return hasattr(value, "__arrow_c_stream__") and hasattr(value, "columns")


def _pyarrow() -> Any:
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise ImportError("X: a table of Arrow is read by pyarrow; install it, or give an array") from error


class ArrowTable:
    """A table of Arrow with the part of pandas' interface that columns are read by."""

    def __init__(self, value: Any) -> None:
        pyarrow = _pyarrow()
        self.table = value if isinstance(value, pyarrow.Table) else pyarrow.table(value)
        self.columns: list[str] = list(self.table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> ArrowColumn:
        return ArrowColumn(self.table.column(self.columns.index(name)))

    def fixed_size_list(self) -> Array | None:
        """The rows of a table whose only column holds lists of one length, without a copy where Arrow allows it; otherwise None."""
        pyarrow = _pyarrow()
        if len(self.columns) != 1 or not pyarrow.types.is_fixed_size_list(self.table.schema.types[0]):
            return None
        column = self.table.column(0)
        if column.null_count:
            raise ValueError(f"X: column {self.columns[0]!r} has missing rows; fill them in or drop them")
        chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
        values = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        return np.asarray(values).reshape(len(self), -1)


class ArrowColumn:
    """A column of Arrow, with the part of pandas' interface that :class:`pfgm._tables.Column` uses."""

    def __init__(self, column: Any) -> None:
        self.column = column
        self.type = column.type

    def __len__(self) -> int:
        return len(self.column)

    def to_numpy(self, dtype: Any, na_value: float) -> npt.NDArray[np.float64]:
        """The values as numbers; without a copy where the column is one piece of doubles."""
        pyarrow = _pyarrow()
        column = self.column
        if pyarrow.types.is_boolean(self.type) or pyarrow.types.is_decimal(self.type):
            column = column.cast(pyarrow.uint8() if pyarrow.types.is_boolean(self.type) else pyarrow.float64())
        if column.null_count:
            column = column.cast(pyarrow.float64()).fill_null(na_value)
        return np.asarray(column.to_numpy()).astype(dtype, copy=False)

    def tolist(self) -> list[Any]:
        """The values as objects of Python."""
        return list(self.column.to_pylist())

    def min(self) -> float:
        """The least value."""
        return float(np.nanmin(self.to_numpy(np.float64, np.nan)))

    def max(self) -> float:
        """The largest value."""
        return float(np.nanmax(self.to_numpy(np.float64, np.nan)))

    @property
    def dtype(self) -> str:
        """The type as :func:`type_of` reads it."""
        return "dictionary" if _pyarrow().types.is_dictionary(self.type) else str(self.type)

    @property
    def kind(self) -> str:
        """``bool``, ``whole``, ``number`` or ``category``."""
        types = _pyarrow().types
        if types.is_boolean(self.type):
            return "bool"
        if types.is_integer(self.type):
            return "whole"
        if types.is_floating(self.type) or types.is_decimal(self.type):
            return "number"
        return "category"

    def missing(self) -> int | None:
        """The first row without a value."""
        if not self.column.null_count:
            return None
        return self.tolist().index(None)

    def categories(self) -> list[Any]:
        """The values of a dictionary in its order, or all values, sorted."""
        values = set(self.tolist())
        if _pyarrow().types.is_dictionary(self.type):
            own = self.column.combine_chunks()
            chunk = own.chunk(0) if hasattr(own, "chunks") else own
            return [value for value in chunk.dictionary.to_pylist() if value in values]
        return sorted(values, key=str)


def table_of(names: list[str], columns: list[tuple[Any, str]], kind: str) -> Any:
    """A table of Arrow from values and types as :class:`ArrowColumn` names them, for ``kind`` polars as its DataFrame."""
    pyarrow = _pyarrow()
    arrays = []
    for values, dtype in columns:
        array = pyarrow.array(values)
        if dtype == "dictionary":
            array = array.dictionary_encode()
        else:
            try:
                array = array.cast(pyarrow.type_for_alias(dtype))
            except ValueError:
                # A type with parameters, such as a decimal: the values have the type that Arrow finds.
                pass
        arrays.append(array)
    table = pyarrow.table(arrays, names=names)
    return importlib.import_module("polars").from_arrow(table) if kind == "polars" else table
