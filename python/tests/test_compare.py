"""Comparison of flows and solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pfgm


def test_cells_are_those_of_sample_and_evaluate(flow: pfgm.PoissonFlow, points: Any) -> None:
    found = pfgm.compare({"a": flow, "b": flow}, points, n=60, solver=["heun", "rk45"], solver_steps=[3, 6])
    assert [(cell.flow, cell.solver, cell.solver_steps) for cell in found] == [
        (name, *rest) for name in "ab" for rest in [("heun", 3), ("heun", 6), ("rk45", None)]
    ]
    samples = flow.sample(60, random_state=0, solver="heun", solver_steps=6)
    alone = pfgm.metrics.evaluate(samples, points)
    assert found[1].report["frechet_distance"] == alone["frechet_distance"] and found[1].nfe == samples.nfe
    assert found.best().report["frechet_distance"].value == min(row["frechet_distance"] for row in found.rows())
    assert found.plot()[:4] == b"\x89PNG" and "rk45" in str(found) and "<table>" in found._repr_html_()


def test_a_single_flow_and_its_own_solver(flow: pfgm.PoissonFlow, points: Any) -> None:
    (cell,) = pfgm.compare(flow, points, n=20)
    assert (cell.flow, cell.solver, cell.solver_steps) == ("0: D=1", "own", None) and cell.seconds > 0
    with pytest.raises(ValueError, match="^flows: empty"):
        pfgm.compare([], points)
    with pytest.raises(ValueError, match="^flows: 'digits' is not a PoissonFlow"):
        pfgm.compare({"x": "digits"}, points)  # type: ignore[dict-item]


def test_tables_with_categories_are_compared_by_numbers() -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"x": rng.normal(size=100), "kind": rng.choice(["a", "b"], 100)})
    table = pfgm.PoissonFlow(D=128, steps=5, batch_size=16, random_state=0).fit(frame)
    found = pfgm.compare(table, frame, n=30, solver_steps=3)
    assert found[0].nfe == 5 and found.to_frame()["frechet_distance"][0] > 0
