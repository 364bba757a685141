"""What all methods of a fitted flow share: rows in, classes by name, results in the form of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _pfgm
from ._arrays import Array, count_of, rows_of, solver_json
from ._display import Progress, Samples
from ._tables import Columns, is_table, plain

#: Values, numbers of classes, and evaluations a row.
Drawn = tuple[Array, list[int | None], float]


class NotFittedError(ValueError, AttributeError):
    """A flow is used before :meth:`PoissonFlow.fit`."""


def number_of(name: str, value: Any) -> float:
    """A number that is not NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)) or math.isnan(value):
        raise ValueError(f"{name}: {value!r}; give a number")
    return float(value)


class Fitted:
    """A model and what is known about the data that it was fitted on."""

    verbose: bool | int | None
    model_: _pfgm.Model
    n_features_in_: int
    feature_names_in_: Array
    #: Classes that the network is conditioned on.
    classes_: Array | None
    _row_shape: tuple[int, ...]
    _columns: Columns | None
    _info: dict[str, Any]

    def _native(
        self,
        array: Array,
        name: str,
        columns: Columns | None,
        value_range: tuple[float, float] | None,
        classes: tuple[Array | None, Sequence[str]],
    ) -> _pfgm.Rows:
        labels, names = classes
        about = {
            "name": name,
            "shape": list(array.shape[1:]),
            "labels": None if labels is None else labels.tolist(),
            "classes": list(names),
            "columns": columns.names if columns else [],
            "whole": [],
            "range": value_range,
        }
        return _pfgm.Rows(array.reshape(-1), about)

    def _adopt(self, model: _pfgm.Model, row_shape: tuple[int, ...], columns: Columns | None) -> None:
        """Takes a trained model over."""
        info = model.info()
        self.model_ = model
        self._row_shape = tuple(row_shape)
        self._columns = columns
        self._info = info
        self.n_features_in_ = len(columns.columns) if columns else int(np.prod(self._row_shape))
        if columns:
            self.feature_names_in_ = np.array(columns.own_names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.classes_ = np.array(info["classes"]) if info["classes"] else None

    def _fitted(self) -> _pfgm.Model:
        model: _pfgm.Model | None = getattr(self, "model_", None)
        if model is None:
            raise NotFittedError("this PoissonFlow is not fitted; call fit(X) first, or load a run with pfgm.load")
        return model

    @property
    def info(self) -> dict[str, Any]:
        """What is known about the model: D, noise levels, classes, columns, steps, number of weights, configuration (JSON)."""
        self._fitted()
        return dict(self._info)

    def _how(
        self,
        what: str,
        solver: str | Mapping[str, Any] | None,
        solver_steps: int | None,
        guidance: float | None,
        batch_size: int | None,
        options: Mapping[str, Any],
    ) -> tuple[dict[str, Any], Progress]:
        self._fitted()
        progress = Progress(self.verbose, what)

        def report(stage: str, done: int, total: int, evaluations: int) -> None:
            progress.update(done, total, f", {evaluations} evaluations")

        # Small rows are computed in larger batches; results do not depend on it.
        default = 64 if len(self._row_shape) > 1 else 1024
        how = {
            "solver": solver_json(solver, solver_steps, options),
            "guidance": None if guidance is None else number_of("guidance", guidance),
            "batch_size": default if batch_size is None else count_of(batch_size, "batch_size"),
            "progress": report if progress.is_shown else None,
        }
        return how, progress

    def _rows(self, X: Any, y: Any = None, name: str = "X") -> tuple[_pfgm.Rows, int]:
        """Rows of data for the fitted model."""
        self._fitted()
        if is_table(X):
            X = plain(X) if self._columns is None else self._columns.encode(X)
        array = rows_of(X, name, self._row_shape)
        labels = None
        names = self._info["classes"]
        if y is not None:
            asked = self._class_names(y, len(array))
            numbers = {name: number for number, name in enumerate(names)}
            unknown = [name for name in asked if name not in numbers]
            if unknown:
                raise ValueError(f"y: no class {unknown[0]!r}; there are {', '.join(names) or 'none'}")
            labels = np.array([numbers[str(name)] for name in asked], dtype=np.uint32)
        return self._native(array, name, self._columns, self._range_of(array), (labels, names)), len(array)

    def _range_of(self, array: Array) -> tuple[float, float] | None:
        """The fitted range for images that lie in it, if it is not one of those that the library tells apart by their values."""
        low, high = self._info["range"]
        if array.ndim == 2 or (low, high) in ((0, 255), (0, 1), (-1, 1)):
            return None
        least, most, span = float(array.min()), float(array.max()), high - low
        fits = least >= low - span / 2 and most <= high + span / 2 and most - least > span / 20
        return (low, high) if fits else None

    def _class_names(self, y: Any, rows: int) -> list[str | None]:
        """The names of classes: one for all rows, or one a row; None for no class."""
        if y is None:
            return [None] * rows
        if isinstance(y, str) or not isinstance(y, Iterable):
            values = [y] * rows
        else:
            values = list(y.tolist() if hasattr(y, "tolist") else y)
        if len(values) != rows:
            raise ValueError(f"y: {len(values)} classes for {rows} rows; give one, or one a row")
        return [None if value is None else self._class_name(value) for value in values]

    def _class_name(self, value: Any) -> str:
        names: list[str] = self._info["classes"]
        if not names:
            raise ValueError("y: the flow is not conditioned on classes; omit it")
        value = value.item() if isinstance(value, np.generic) else value
        name = str(value)
        if name in names:
            return name
        if isinstance(value, float) and value.is_integer() and str(int(value)) in names:
            return str(int(value))
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
            return names[value]
        raise ValueError(f"y: no class {value!r}; there are {', '.join(names)}")

    def _result(self, drawn: Drawn) -> Any:
        """Rows that the native half made, in the form of the data that the flow was fitted on."""
        values, numbers, nfe = drawn
        rows = values.reshape((-1, *self._row_shape))
        if self._columns is not None:
            return self._columns.decode(rows)
        y = None
        if self.classes_ is not None and all(number is not None for number in numbers):
            y = self.classes_[np.array(numbers, dtype=np.int64)]
        return Samples(rows, y, nfe, self._info["range"])
