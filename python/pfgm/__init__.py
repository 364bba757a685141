"""Poisson flow generative models: PFGM, PFGM++ and diffusion models on a CPU.

>>> import pfgm
>>> X, y = pfgm.datasets.load_digits()
>>> flow = pfgm.PoissonFlow(D=128, steps=2, batch_size=16, random_state=0).fit(X, y)
>>> flow.sample(3, y="7", solver_steps=2, random_state=0).shape
(3, 8, 8)
"""

from __future__ import annotations

from . import datasets, metrics
from ._compare import Cell, Comparison, compare
from ._denoisers import Solution, log_likelihood, posterior, solve
from ._densities import AnomalyScores
from ._display import Picture, Samples, plot
from ._estimator import PoissonFlow, import_checkpoint, load
from ._exact import ExactField
from ._fitted import NotFittedError
from ._pfgm import __version__, solvers
from ._training import History, Step

__all__ = [
    "AnomalyScores",
    "Cell",
    "Comparison",
    "ExactField",
    "History",
    "NotFittedError",
    "Picture",
    "PoissonFlow",
    "Samples",
    "Solution",
    "Step",
    "__version__",
    "compare",
    "datasets",
    "import_checkpoint",
    "load",
    "log_likelihood",
    "metrics",
    "plot",
    "posterior",
    "solve",
    "solvers",
]
