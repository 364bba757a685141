"""Tables with named columns of several kinds as rows of numbers, and back."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arrays import is_frame
from ._arrow import ArrowTable, is_arrow, table_of

#: Categories of a column, at most.
MOST_CATEGORIES = 256


@dataclass
class Column:
    """A column: ``number``, ``whole``, ``bool`` or ``category``. A category becomes as many 0/1 numbers as it has values."""

    name: Any
    kind: str
    dtype: str
    categories: list[Any] = field(default_factory=list)
    low: float = 0.0
    high: float = 0.0

    @property
    def width(self) -> int:
        """How many numbers the column becomes."""
        return len(self.categories) if self.kind == "category" else 1

    def names(self) -> list[str]:
        """Names of these numbers."""
        if self.kind == "category":
            return [f"{self.name}={category}" for category in self.categories]
        return [str(self.name)]

    def encode(self, values: Any) -> npt.NDArray[np.float64]:
        """The column as numbers, ``(n, width)``."""
        if self.kind != "category":
            try:
                return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan)).reshape(-1, 1)
            except (TypeError, ValueError) as error:
                raise ValueError(f"X: column {self.name!r} holds values that are not numbers: {error}") from error
        codes = {category: code for code, category in enumerate(self.categories)}
        table = np.zeros((len(values), self.width))
        for row, value in enumerate(values.tolist()):
            if value not in codes:
                raise ValueError(f"X: row {row}, column {self.name!r} is {value!r}, which the flow was not fitted on")
            table[row, codes[value]] = 1.0
        return table

    def decode(self, table: npt.NDArray[Any]) -> Any:
        """Numbers as the column's own values: rounded, or the category with the largest number."""
        if self.kind == "number":
            return table[:, 0].astype(self.dtype if self.dtype in ("float16", "float32", "float64") else np.float64)
        if self.kind == "whole":
            return np.clip(np.rint(table[:, 0].astype(np.float64)), self.low, self.high).astype(np.int64)
        if self.kind == "bool":
            return table[:, 0] > 0.5
        return [self.categories[code] for code in np.argmax(table, axis=1)]


def is_table(value: Any) -> bool:
    """Whether a value is a DataFrame of pandas or a table of Arrow; neither library is imported for that."""
    return is_frame(value) or is_arrow(value)


def plain(value: Any) -> Any:
    """The numbers of a table whose columns have no names that matter, or the value itself."""
    if not is_table(value):
        return value
    if not is_arrow(value):
        return value.to_numpy()
    table = ArrowTable(value)
    rows = table.fixed_size_list()
    if rows is not None:
        return rows
    return np.stack([table[name].to_numpy(np.float64, np.nan) for name in table.columns], axis=1)


class Columns:
    """The columns of a table that a flow was fitted on; ``kind`` is the library of the table."""

    def __init__(self, columns: list[Column], kind: str = "pandas") -> None:
        self.columns = columns
        self.kind = kind

    @classmethod
    def of(cls, table: Any) -> Columns | None:
        """The columns of a table; None for a table of Arrow whose only column holds whole rows."""
        if not is_arrow(table):
            return cls([_of_pandas(name, table[name]) for name in table.columns])
        arrow = ArrowTable(table)
        if arrow.fixed_size_list() is not None:
            return None
        for name in arrow.columns:
            if arrow.columns.count(name) > 1:
                raise ValueError(f"X: two columns are named {name!r}; rename one")
        library = type(table).__module__.split(".")[0]
        return cls([_of_arrow(name, arrow[name]) for name in arrow.columns], "polars" if library == "polars" else "arrow")

    @property
    def names(self) -> list[str]:
        """Names of the numbers that a row becomes."""
        return [name for column in self.columns for name in column.names()]

    @property
    def own_names(self) -> list[Any]:
        """Names of the table's columns."""
        return [column.name for column in self.columns]

    def mask(self, names: Any) -> npt.NDArray[np.bool_]:
        """Which numbers of a row belong to columns of these names."""
        unknown = [name for name in names if name not in self.own_names]
        if unknown:
            raise ValueError(f"known: no column {unknown[0]!r}; there are {', '.join(map(str, self.own_names))}")
        return np.array([column.name in names for column in self.columns for _ in range(column.width)])

    def encode(self, table: Any) -> npt.NDArray[np.float64]:
        """A table with these columns, in any order, as rows of numbers."""
        if is_arrow(table):
            table = ArrowTable(table)
        missing = [name for name in self.own_names if name not in table.columns]
        if missing:
            raise ValueError(f"X: no column {missing[0]!r}; the flow was fitted on {', '.join(map(str, self.own_names))}")
        return np.concatenate([column.encode(table[column.name]) for column in self.columns], axis=1)

    def decode(self, rows: npt.NDArray[Any]) -> Any:
        """Rows of numbers as a table with these columns."""
        ends = np.cumsum([column.width for column in self.columns])
        parts = np.split(rows, ends[:-1], axis=1)
        values = [column.decode(part) for column, part in zip(self.columns, parts)]
        if self.kind != "pandas":
            typed = [(value, column.dtype) for value, column in zip(values, self.columns)]
            return table_of([str(name) for name in self.own_names], typed, self.kind)
        pandas: Any = importlib.import_module("pandas")
        data = {}
        for number, (column, value) in enumerate(zip(self.columns, values)):
            if column.kind == "category" and column.dtype == "category":
                data[number] = pandas.Series(pandas.Categorical(value, categories=column.categories))
            else:
                data[number] = pandas.Series(value).astype(column.dtype)
        frame = pandas.DataFrame(data)
        frame.columns = pandas.Index(self.own_names)
        return frame

    def to_json(self) -> dict[str, Any]:
        """Plain data that :meth:`from_json` reads."""
        return {"kind": self.kind, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, data: dict[str, Any] | list[dict[str, Any]]) -> Columns:
        """The inverse of :meth:`to_json`; the first runs have a list of columns only, of pandas."""
        if isinstance(data, list):
            data = {"kind": "pandas", "columns": data}
        return cls([Column(**column) for column in data["columns"]], data["kind"])


def _of_pandas(name: Any, values: Any) -> Column:
    """A column of a DataFrame of pandas."""
    pandas: Any = sys.modules["pandas"]
    types = pandas.api.types
    if getattr(values, "ndim", 1) != 1:
        raise ValueError(f"X: two columns are named {name!r}; rename one")
    dtype = str(values.dtype)
    if types.is_bool_dtype(values.dtype):
        return Column(name, "bool", dtype)
    if types.is_integer_dtype(values.dtype):
        return Column(name, "whole", dtype, low=float(values.min()), high=float(values.max()))
    if types.is_float_dtype(values.dtype):
        return Column(name, "number", dtype)
    missing = int(values.isna().argmax()) if values.isna().any() else None
    if hasattr(values, "cat"):
        return _category(name, dtype, missing, lambda: list(values.cat.categories))
    return _category(name, dtype, missing, lambda: sorted(set(values.tolist()), key=str))


def _of_arrow(name: str, values: Any) -> Column:
    """A column of a table of Arrow."""
    kind = values.kind
    if kind == "whole":
        return Column(name, kind, values.dtype, low=values.min(), high=values.max())
    if kind != "category":
        return Column(name, kind, values.dtype)
    return _category(name, values.dtype, values.missing(), values.categories)


def _category(name: Any, dtype: str, missing: int | None, categories: Callable[[], list[Any]]) -> Column:
    if missing is not None:
        raise ValueError(f"X: row {missing}, column {name!r} is missing; fill it in or drop the row")
    try:
        own = categories()
    except TypeError:
        # Lists, for instance, cannot be told apart by a set.
        own = [None]
    if len(own) > MOST_CATEGORIES:
        raise ValueError(f"X: column {name!r} has {len(own)} categories; drop it, or join some into {MOST_CATEGORIES} at most")
    if not all(isinstance(category, (str, int, float, bool)) for category in own):
        raise ValueError(f"X: column {name!r} of type {dtype} is neither numbers nor names; convert it, or drop it")
    return Column(name, "category", dtype, own)
