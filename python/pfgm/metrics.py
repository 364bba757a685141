"""Scores of samples, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np

from . import _pfgm
from ._arrays import Array, RandomState, image_range, rows_of, training_seed
from ._display import Samples
from ._tables import Columns, is_table, plain

__all__ = ["Report", "Score", "evaluate"]


@dataclass(frozen=True)
class Score:
    """A score.

    Attributes
    ----------
    value : float
    standard_error : float
        Not a number where there is none.
    interval : (float, float)
        95 % confidence interval.
    """

    value: float
    standard_error: float
    interval: tuple[float, float]

    def __float__(self) -> float:
        return self.value


class Report(Mapping[str, Score]):
    """Scores by their names; prints as a table.

    Attributes
    ----------
    warnings : list of str
        What makes the scores unreliable.
    """

    def __init__(self, scores: Mapping[str, Score], warnings: list[str]) -> None:
        self._scores = dict(scores)
        self.warnings = warnings

    def __getitem__(self, name: str) -> Score:
        try:
            return self._scores[name]
        except KeyError:
            raise KeyError(f"{name}: no such score; there are {', '.join(self._scores)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __str__(self) -> str:
        lines = [f"{'':<18}{'value':>12}  95 % interval"]
        for name, score in self._scores.items():
            low, high = score.interval
            interval = f"{low:.4g} to {high:.4g}" if math.isfinite(high - low) else ""
            lines.append(f"{name:<18}{score.value:>12.4g}  {interval}".rstrip())
        return "\n".join(lines + [f"warning: {warning}" for warning in self.warnings])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = ""
        for name, score in self._scores.items():
            low, high = score.interval
            rows += f"<tr><td>{name}</td><td>{score.value:.4g}</td><td>{low:.4g} to {high:.4g}</td></tr>"
        return f"<table><tr><th>score</th><th>value</th><th>95 % interval</th></tr>{rows}</table>"


def evaluate(
    samples: Any,
    reference: Any,
    *,
    extractor: str = "pixels",
    weights: str | PathLike[str] | None = None,
    scale: str = "range",
    random_state: RandomState = 0,
) -> Report:
    """Compare samples with real rows.

    Parameters
    ----------
    samples, reference : array of shape (n, ...), or DataFrame
        Rows in the same units; at least 20 of each.
    extractor : {"pixels", "inception", "efficientnet-lite0"}
        What features are compared: the values themselves, or those of a network.
    weights : path, optional
        File of the network's weights, as pytorch-fid publishes them.
    scale : {"range", "standard"}
        How columns of tables are scaled, for images have values from 0 to 1 anyway. ``"range"`` treats columns as images: the reference's
        lowest and highest value become 0 and 1, and values outside are clipped, so that differences are bounded. ``"standard"``
        divides by the reference's standard deviations, as the program ``pfgm evaluate`` does; distances are then unbounded.
    random_state : int, Generator or None, default 0
        Seed of groups and subsets.

    Returns
    -------
    Report
        ``frechet_distance`` and its ``frechet_bias``, ``kid``, ``precision``, ``recall``, ``density``, ``coverage``, and
        ``inception_score`` for extractors with classes.

    Examples
    --------
    >>> import numpy as np, pfgm
    >>> rng = np.random.default_rng(0)
    >>> report = pfgm.metrics.evaluate(rng.normal(size=(200, 2)), rng.normal(size=(200, 2)))
    >>> report["frechet_distance"].value < 0.2, report["coverage"].interval[1] <= 1
    (True, True)
    """
    return _Reference(reference, extractor, weights, scale, random_state, samples).evaluate(samples)


class _Reference:
    """Rows that samples are compared with; their features are computed once."""

    def __init__(
        self,
        reference: Any,
        extractor: str,
        weights: str | PathLike[str] | None,
        scale: str,
        random_state: RandomState,
        samples: Any,
    ) -> None:
        # Categories of a table become numbers, as in a flow.
        self.columns = Columns.of(reference) if is_table(reference) else None
        array = self._array(reference, "reference")
        # Samples of a flow know the range of its images; the reference is of the same kind.
        own = samples.value_range if isinstance(samples, Samples) and samples.ndim > 2 else None
        self.value_range = image_range(array, own)
        how = {
            "extractor": extractor,
            "weights": None if weights is None else fspath(weights),
            "scale": scale,
            "seed": training_seed(random_state),
        }
        self.native = _pfgm.Reference(self._rows(array, "reference"), how)

    def _array(self, value: Any, name: str) -> Array:
        if self.columns is not None and is_table(value):
            return rows_of(self.columns.encode(value), name)
        return rows_of(np.asarray(plain(value)), name)

    def _rows(self, array: Array, name: str) -> _pfgm.Rows:
        about = {
            "name": name,
            "shape": list(array.shape[1:]),
            "labels": None,
            "classes": [],
            "columns": [],
            "whole": [],
            "range": self.value_range,
        }
        return _pfgm.Rows(array.reshape(-1), about)

    def evaluate(self, samples: Any) -> Report:
        """Scores of samples."""
        array = self._array(samples, "samples")
        scores, warnings = self.native.evaluate(self._rows(array, "samples"))
        return Report({name: Score(value, error, (low, high)) for name, value, error, (low, high) in scores}, warnings)
