"""Comparison of flows, solvers and numbers of steps."""

from __future__ import annotations

import html
import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from . import _pfgm
from ._arrays import RandomState, training_seed
from ._display import Picture
from ._estimator import PoissonFlow
from .metrics import Report, _Reference

#: A solver as :meth:`PoissonFlow.sample` takes it; None is the flow's own.
Solver = str | Mapping[str, Any] | None


@dataclass(frozen=True)
class Cell:
    """Samples of one flow by one solver, and their scores.

    Attributes
    ----------
    flow, solver : str
        Names.
    solver_steps : int or None
        None for the flow's own number, or an adaptive solver.
    nfe : float
        Evaluations of yhat a sample, on average.
    seconds : float
        Time of all samples.
    report : Report
        Scores, as of :func:`pfgm.metrics.evaluate`.
    """

    flow: str
    solver: str
    solver_steps: int | None
    nfe: float
    seconds: float
    report: Report


class Comparison(Sequence[Cell]):
    """Cells in the order of flows, solvers, steps; prints as a table."""

    def __init__(self, cells: list[Cell]) -> None:
        self._cells = cells

    def __getitem__(self, index: Any) -> Any:
        return self._cells[index]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary a cell: its names, numbers, and the value of every score; :class:`pandas.DataFrame` takes the list."""
        return [
            {
                "flow": cell.flow,
                "solver": cell.solver,
                "solver_steps": cell.solver_steps,
                "nfe": cell.nfe,
                "seconds": cell.seconds,
                **{name: score.value for name, score in cell.report.items()},
            }
            for cell in self
        ]

    def to_frame(self) -> Any:
        """The rows as a DataFrame of pandas."""
        return importlib.import_module("pandas").DataFrame(self.rows())

    def best(self, score: str = "frechet_distance") -> Cell:
        """The cell with the lowest value of a score."""
        return min(self, key=lambda cell: cell.report[score].value)

    def plot(self, score: str = "frechet_distance") -> Picture:
        """Draw a score over the evaluations a sample, one curve for each flow and solver; a notebook shows the picture."""
        several = len({cell.flow for cell in self}) > 1
        curves: dict[str, tuple[list[float], list[float]]] = {}
        for cell in sorted(self, key=lambda cell: cell.nfe):
            x, y = curves.setdefault(f"{cell.flow}, {cell.solver}" if several else cell.solver, ([], []))
            x.append(cell.nfe)
            y.append(cell.report[score].value)
        return Picture(_pfgm.curve([(name, x, y) for name, (x, y) in curves.items()], ["evaluations a sample", score], ""))

    def __str__(self) -> str:
        lines = self._text()
        widths = [max(map(len, column)) for column in zip(*lines)]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    __repr__ = __str__

    def _text(self) -> list[list[str]]:
        lines = [["flow", "solver", "steps", "evaluations", "seconds", "FD", "95 % interval", "precision", "recall"]]
        for cell in self:
            distance = cell.report["frechet_distance"]
            low, high = distance.interval
            steps = "" if cell.solver_steps is None else str(cell.solver_steps)
            shares = [f"{cell.report[name].value:.3f}" for name in ("precision", "recall")]
            distances = [f"{distance.value:.4g}", f"{low:.4g} to {high:.4g}"]
            lines.append([cell.flow, cell.solver, steps, f"{cell.nfe:.1f}", f"{cell.seconds:.1f}", *distances, *shares])
        return lines

    def _repr_html_(self) -> str:
        head, *lines = self._text()

        def row(texts: list[str], tag: str) -> str:
            return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in texts) + "</tr>"

        return f"<table>{row(head, 'th')}{''.join(row(line, 'td') for line in lines)}</table>"


def compare(
    flows: PoissonFlow | Mapping[str, PoissonFlow] | Sequence[PoissonFlow],
    reference: Any,
    *,
    n: int = 1000,
    solver: Solver | Sequence[Solver] = None,
    solver_steps: int | None | Sequence[int | None] = None,
    extractor: str = "pixels",
    weights: str | PathLike[str] | None = None,
    scale: str = "range",
    random_state: RandomState = 0,
    **how: Any,
) -> Comparison:
    """Compare flows, solvers and numbers of steps by the scores of their samples, all from the same seeds.

    The program's ``pfgm compare FILE.toml`` has more axes, and stores what is finished.

    Parameters
    ----------
    flows : PoissonFlow, or several in a dict by their names or a sequence
        Fitted flows.
    reference : array of shape (m, ...), or a table
        Real rows, at least 20.
    n : int, default 1000
        Samples of each cell, at least 20.
    solver : str or dict, or a sequence of them, optional
        Solvers; None is the flow's own.
    solver_steps : int, or a sequence of int, optional
        Steps of each solver that has a number of steps; ``"rk45"`` chooses its own and is one cell.
    extractor, weights, scale
        As in :func:`pfgm.metrics.evaluate`.
    random_state : int, Generator or None, default 0
        Seed of all samples and of the scores.
    **how
        Further options of :meth:`PoissonFlow.sample`: ``y``, ``guidance``, ``batch_size``, ...

    Returns
    -------
    Comparison

    Examples
    --------
    >>> import pfgm
    >>> X, _ = pfgm.datasets.load_digits()
    >>> found = pfgm.compare(pfgm.load("digits"), X[:100], n=40, solver=["ipndm", "heun"], solver_steps=[2, 4])
    >>> [(cell.solver, cell.solver_steps, cell.nfe) for cell in found]
    [('ipndm', 2, 2.0), ('ipndm', 4, 4.0), ('heun', 2, 3.0), ('heun', 4, 7.0)]
    """
    named = _named(flows)
    solvers = [solver] if solver is None or isinstance(solver, (str, Mapping)) else list(solver)
    steps = [solver_steps] if solver_steps is None or not isinstance(solver_steps, Sequence) else list(solver_steps)
    seed = training_seed(random_state)
    cells: list[Cell] = []
    real: _Reference | None = None
    for name, flow in named.items():
        for one in solvers:
            method = one.get("method") if isinstance(one, Mapping) else one
            for count in [None] if method == "rk45" else steps:
                started = time.perf_counter()
                drawn = flow._draw(n, random_state=seed, solver=one, solver_steps=count, **how)
                seconds = time.perf_counter() - started
                samples = flow._result(drawn)
                if real is None:
                    real = _Reference(reference, extractor, weights, scale, seed, samples)
                cells.append(Cell(name, method or "own", count, drawn[2], seconds, real.evaluate(samples)))
    return Comparison(cells)


def _named(flows: Any) -> dict[str, PoissonFlow]:
    """Flows by their names."""
    if isinstance(flows, PoissonFlow):
        flows = [flows]
    named = dict(flows) if isinstance(flows, Mapping) else {_name(flow, at): flow for at, flow in enumerate(flows)}
    wrong = [flow for flow in named.values() if not isinstance(flow, PoissonFlow)]
    if wrong or not named:
        raise ValueError(f"flows: {wrong[0]!r} is not a PoissonFlow" if wrong else "flows: empty; give at least one flow")
    return named


def _name(flow: Any, number: int) -> str:
    info = flow.info if isinstance(flow, PoissonFlow) else {}
    return f"{number}: D={info.get('D', 0):g}"
