"""Densities of rows, and anomaly scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _pfgm
from ._arrays import RandomState, count_of, seed_of
from ._fitted import Fitted, number_of


@dataclass(frozen=True, eq=False)
class AnomalyScores(Mapping[str, npt.NDArray[np.float64]]):
    """Anomaly scores of rows by their names; a higher score is more anomalous.

    Attributes
    ----------
    scores : dict of ndarray, each of shape (n,)
        Scores of the rows in question; ``found["typicality"]`` is short for ``found.scores["typicality"]``.
    normal : dict of ndarray, each of shape (m,)
        Scores of the normal rows.
    area_under_roc : dict of float
        Probability that a row in question has a higher score than a normal one: 0.5 is chance level, 1 perfect separation.
    """

    scores: dict[str, npt.NDArray[np.float64]]
    normal: dict[str, npt.NDArray[np.float64]]
    area_under_roc: dict[str, float]

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        try:
            return self.scores[name]
        except KeyError:
            raise KeyError(f"{name}: no such score; there are {', '.join(self.scores)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.scores)

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        lines = [f"{'':<24}{'normal':>10}{'scored':>10}  area under ROC"]
        for name, area in self.area_under_roc.items():
            means = self.normal[name].mean(), self.scores[name].mean()
            lines.append(f"{name:<24}{means[0]:>10.4g}{means[1]:>10.4g}  {area:.4f}")
        return "\n".join(lines)


class Densities(Fitted):
    """``score_samples``, ``score`` and ``anomaly_scores``."""

    def score_samples(
        self,
        X: Any,
        y: Any = None,
        *,
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        trace: str = "auto",
        n_probes: int = 1,
        n_draws: int = 1,
        random_state: RandomState = 0,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> npt.NDArray[np.float64]:
        """Logarithm of the density of each row, by the change of variables along the flow.

        Parameters
        ----------
        X : array of shape (n, ...)
            Rows in the data's own units. Rows of bytes are dequantized with uniform noise.
        y : array of shape (n,), optional
            Class of each row, for the density given the class.
        solver, solver_steps, batch_size, **solver_options
            As in :meth:`encode`.
        trace : {"auto", "exact", "rademacher", "gaussian"}
            The divergence: exact, or Hutchinson's estimate. ``"auto"`` is exact for rows of at most 128 values.
        n_probes : int, default 1
            Probes of each row for the estimate.
        n_draws : int, default 1
            Dequantization samples of each row of bytes.
        random_state : int, Generator or None, default 0
            Seed of probes and dequantization.

        Returns
        -------
        ndarray of float64, shape (n,)
            Natural logarithms (nats) of densities in the data's own units.
        """
        how, progress = self._how("log-likelihood", solver, solver_steps, None, batch_size, solver_options)
        what = {
            "trace": trace,
            "n_probes": count_of(n_probes, "n_probes"),
            "n_draws": count_of(n_draws, "n_draws"),
            "seed": seed_of(random_state),
        }
        rows, _ = self._rows(X, y)
        with progress:
            logs, _ = self._fitted().log_density(rows, what, how)
        return np.asarray(logs)

    def score(self, X: Any, y: Any = None) -> float:
        """Mean of :meth:`score_samples`: the mean log density of rows in nats; larger is better.

        ``y`` is used if the flow is conditioned on classes.
        """
        self._fitted()
        return float(self.score_samples(X, y if self.classes_ is not None else None).mean())

    def anomaly_scores(
        self,
        X: Any,
        normal: Any,
        *,
        likelihood: bool = True,
        sigmas: Sequence[float] = (0.2, 0.5),
        solver: str | Mapping[str, Any] | None = None,
        solver_steps: int | None = None,
        trace: str = "auto",
        n_probes: int = 1,
        n_draws: int = 1,
        random_state: RandomState = 0,
        batch_size: int | None = None,
        **solver_options: Any,
    ) -> AnomalyScores:
        """Score how anomalous rows are, compared with normal rows that the flow was not fitted on. Classes are not used.

        Parameters
        ----------
        X : array of shape (n, ...)
            Rows to score, in the data's own units.
        normal : array of shape (m, ...)
            Normal rows.
        likelihood : bool, default True
            Whether scores by the likelihood are computed, which take most of the time: ``"likelihood"`` (bits per dimension of images,
            negative nats of other rows) and ``"typicality"``, its distance from the mean of normal rows.
        sigmas : sequence of float, default (0.2, 0.5)
            Noise levels, in the model's space, of ``"reconstruction at SIGMA"``: the root mean square error of one denoising step.
        solver, solver_steps, trace, n_probes, n_draws, random_state, batch_size, **solver_options
            Of the likelihood, as in :meth:`score_samples`.

        Returns
        -------
        AnomalyScores
            Scores by their names, the highest for the most anomalous rows.

        Examples
        --------
        >>> import numpy as np, pfgm
        >>> X, _ = pfgm.datasets.load_digits()
        >>> noise = np.random.default_rng(0).integers(0, 17, (20, 8, 8)).astype(np.uint8)
        >>> found = pfgm.load("digits").anomaly_scores(noise, X[:20], likelihood=False)
        >>> found.area_under_roc["reconstruction at 0.5"]
        1.0
        """
        how, progress = self._how("anomaly scores", solver, solver_steps, None, batch_size, solver_options)
        settings = {
            "trace": trace,
            "n_probes": count_of(n_probes, "n_probes"),
            "n_draws": count_of(n_draws, "n_draws"),
            "seed": seed_of(random_state),
        }
        what = {
            "likelihood": settings if likelihood else None,
            "sigmas": [number_of("sigmas", sigma) for sigma in sigmas],
        }
        rows, _ = self._rows(X)
        usual, _ = self._rows(normal, name="normal")
        with progress:
            found = _pfgm.anomaly_scores(self._fitted(), usual, rows, what, how)
        return AnomalyScores(
            {name: np.asarray(scores) for name, _, scores, _ in found},
            {name: np.asarray(scores) for name, scores, _, _ in found},
            {name: area for name, _, _, area in found},
        )
