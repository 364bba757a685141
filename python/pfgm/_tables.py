"""Tables with named columns of several kinds as rows of numbers, and back."""

from __future__ import annotations

import importlib
import sys
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

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
            return table[:, 0].astype(self.dtype if self.dtype.startswith("float") else np.float64)
        if self.kind == "whole":
            return np.clip(np.rint(table[:, 0].astype(np.float64)), self.low, self.high).astype(np.int64)
        if self.kind == "bool":
            return table[:, 0] > 0.5
        return [self.categories[code] for code in np.argmax(table, axis=1)]


class Columns:
    """The columns of a table that a flow was fitted on."""

    def __init__(self, columns: list[Column]) -> None:
        self.columns = columns

    @classmethod
    def of(cls, frame: Any) -> Columns:
        """The columns of a DataFrame of pandas."""
        pandas: Any = sys.modules["pandas"]
        types = pandas.api.types
        found = []
        for name in frame.columns:
            values = frame[name]
            if getattr(values, "ndim", 1) != 1:
                raise ValueError(f"X: two columns are named {name!r}; rename one")
            dtype = str(values.dtype)
            if types.is_bool_dtype(values.dtype):
                found.append(Column(name, "bool", dtype))
            elif types.is_integer_dtype(values.dtype):
                found.append(Column(name, "whole", dtype, low=float(values.min()), high=float(values.max())))
            elif types.is_float_dtype(values.dtype):
                found.append(Column(name, "number", dtype))
            else:
                found.append(Column(name, "category", dtype, cls._categories(name, values)))
        return cls(found)

    @staticmethod
    def _categories(name: Any, values: Any) -> list[Any]:
        if values.isna().any():
            raise ValueError(f"X: row {int(values.isna().argmax())}, column {name!r} is missing; fill it in or drop the row")
        own = list(values.cat.categories) if hasattr(values, "cat") else sorted(set(values.tolist()), key=str)
        if len(own) > MOST_CATEGORIES:
            raise ValueError(f"X: column {name!r} has {len(own)} categories; drop it, or join some into {MOST_CATEGORIES} at most")
        if not all(isinstance(category, (str, int, float, bool)) for category in own):
            raise ValueError(f"X: column {name!r} of type {values.dtype} is neither numbers nor names; convert it, or drop it")
        return own

    @property
    def names(self) -> list[str]:
        """Names of the numbers that a row becomes."""
        return [name for column in self.columns for name in column.names()]

    @property
    def own_names(self) -> list[Any]:
        """Names of the table's columns."""
        return [column.name for column in self.columns]

    def encode(self, frame: Any) -> npt.NDArray[np.float64]:
        """A DataFrame with these columns, in any order, as rows of numbers."""
        missing = [name for name in self.own_names if name not in frame.columns]
        if missing:
            raise ValueError(f"X: no column {missing[0]!r}; the flow was fitted on {', '.join(map(str, self.own_names))}")
        return np.concatenate([column.encode(frame[column.name]) for column in self.columns], axis=1)

    def decode(self, rows: npt.NDArray[Any]) -> Any:
        """Rows of numbers as a DataFrame with these columns."""
        pandas: Any = importlib.import_module("pandas")
        at = 0
        data: dict[int, Any] = {}
        for number, column in enumerate(self.columns):
            values = column.decode(rows[:, at : at + column.width])
            if column.kind == "category" and column.dtype == "category":
                series = pandas.Series(pandas.Categorical(values, categories=column.categories))
            else:
                series = pandas.Series(values).astype(column.dtype)
            data[number] = series
            at += column.width
        frame = pandas.DataFrame(data)
        frame.columns = pandas.Index(self.own_names)
        return frame

    def to_json(self) -> list[dict[str, Any]]:
        """Plain data that :meth:`from_json` reads."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, data: list[dict[str, Any]]) -> Columns:
        """The inverse of :meth:`to_json`."""
        return cls([Column(**column) for column in data])
