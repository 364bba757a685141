"""What users get wrong: one sentence that names the parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pfgm

X = np.zeros((30, 2), dtype=np.float32)
NAN = np.where(np.arange(60).reshape(30, 2) == 7, np.nan, 1.0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: pfgm.PoissonFlow().fit(NAN), r"^X: row 3, value 1 is NaN; replace"),
        (lambda: pfgm.PoissonFlow().fit(np.zeros(5)), r"^X: shape \(5,\) .*reshape"),
        (lambda: pfgm.PoissonFlow().fit(np.zeros((0, 2))), r"^X: shape \(0, 2\) has no values"),
        (lambda: pfgm.PoissonFlow().fit([["a", "b"]]), r"^X: values of type .* not real numbers"),
        (lambda: pfgm.PoissonFlow().fit([[1, 2], [3]]), r"^X: rows differ in length"),
        (lambda: pfgm.PoissonFlow().fit(np.zeros((2, 2), dtype=complex)), r"^X: values of type complex"),
        (lambda: pfgm.PoissonFlow().fit(np.zeros((2, 2, 2, 2, 2))), r"^X: shape"),
        (lambda: pfgm.PoissonFlow().fit(X, np.zeros(3)), r"^y: shape \(3,\) for 30 rows"),
        (lambda: pfgm.PoissonFlow(D=0).fit(X), r"^D: 0: give a number above 0, or infinity"),
        (lambda: pfgm.PoissonFlow(D="1").fit(X), r"^D: '1'; give a number"),
        (lambda: pfgm.PoissonFlow(steps=0).fit(X), r"^steps: 0; give a whole number"),
        (lambda: pfgm.PoissonFlow(batch_size=2.5).fit(X), r"^batch_size: 2.5; give a whole number"),
        (lambda: pfgm.PoissonFlow(learning_rate=-1).fit(X), r"^learning_rate = -1"),
        (lambda: pfgm.PoissonFlow(random_state=-1).fit(X), r"^random_state: -1; give"),
        (lambda: pfgm.PoissonFlow(device="cuda").fit(X), r"^device: "),
        (lambda: pfgm.PoissonFlow(config={"train": {"emma": 1}}).fit(X), r"^config: unknown field `emma`"),
        (lambda: pfgm.PoissonFlow(config="no-preset").fit(X), r"^config: no preset or file `no-preset`"),
        (lambda: pfgm.PoissonFlow(value_range=(2, 1)).fit(np.zeros((4, 2, 2))), r"^value_range: \(2, 1\); give two finite"),
        (lambda: pfgm.PoissonFlow().set_params(stepz=3), r"^stepz: PoissonFlow has no such parameter"),
        (lambda: pfgm.load("no-such-run"), r"^path: no-such-run: no such run"),
        (lambda: pfgm.ExactField(NAN), r"^X: row 3 has a value that is not finite"),
        (lambda: pfgm.ExactField(X, D=-1), r"^D: -1: give a number above 0"),
        (lambda: pfgm.ExactField(X).yhat(np.zeros((2, 3)), 1.0), r"^x: shape \(2, 3\); give rows of 2"),
        (lambda: pfgm.ExactField(X).yhat(np.zeros((2, 2)), 0.0), r"^sigma: "),
        (lambda: pfgm.metrics.evaluate(X[:5], X), r"^the samples: 5 rows; give at least 20"),
        (lambda: pfgm.metrics.evaluate(X, X, extractor="vgg"), r"^extractor: unknown extractor `vgg`.*inception"),
        (lambda: pfgm.datasets.load("no-such-file"), r"^no-such-file: no such file or folder"),
    ],
)
def test_a_value_error_names_the_parameter(call: Callable[[], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda flow: flow.sample(0), r"^n: 0; give a whole number"),
        (lambda flow: flow.sample(2, solver="rk54"), r"^solver: unknown solver `rk54`, expected one of euler, .*rk45"),
        (lambda flow: flow.sample(2, solver="heun", rtol=1e-3), r"^rtol = 0.001: only rk45 .*set solver = rk45"),
        (lambda flow: flow.sample(2, solver="rk45", solver_steps=3), r"^solver_steps = 3: rk45 chooses its steps"),
        (lambda flow: flow.sample(2, solvr="rk45"), r"^solver: unknown field `solvr`"),
        (lambda flow: flow.sample(2, y=1), r"^y: the flow is not conditioned on classes"),
        (lambda flow: flow.sample(2, guidance=2.0), r"^guidance: "),
        (lambda flow: flow.sample(2, guidance_levels=(1.0, 2.0)), r"^guidance_levels: the model is not conditioned"),
        (lambda flow: flow.sample(2, guidance_levels=(1.0, 2.0, 3.0)), r"^guidance_levels: 3 numbers; give the lowest"),
        (lambda flow: flow.sample(2, autoguide=flow), r"^guidance: a weaker model guides by a scale"),
        (lambda flow: flow.sample(2, autoguide=pfgm.load("digits"), guidance=2.0), r"^autoguide: its rows are 8x8x1"),
        (lambda flow: flow.sample(2, seeds=[1]), r"^seeds: 1 seeds for 2 samples"),
        (lambda flow: flow.encode(np.zeros((2, 3))), r"^X: rows of shape \(3,\), but the flow was fitted on rows of shape \(2,\)"),
        (lambda flow: flow.encode(np.zeros((2, 2)), solver="heun", churn=1.0), r"^(solver: )?heun adds noise"),
        (lambda flow: flow.decode(np.zeros((2, 3))), r"^z: shape \(2, 3\); give rows of 2"),
        (lambda flow: flow.score_samples(NAN), r"^X: row 3, value 1 is NaN"),
        (lambda flow: flow.score_samples(X, trace="none"), r"^trace: unknown trace `none`"),
        (lambda flow: flow.yhat(np.zeros((2, 2)), [1.0, 1.0, 1.0]), r"^sigma: 3 noise levels for 2 rows"),
        (lambda flow: flow.vjp(np.zeros((2, 2)), 1.0, np.zeros((1, 2))), r"^v: "),
        (lambda flow: flow.posterior([1.0], operator=np.eye(3), noise=0.1), r"^operator: shape \(3, 3\)"),
        (lambda flow: flow.posterior([1.0], operator=np.eye(2), noise=0.1), r"^a: 1 values, but the operator returns 2"),
        (lambda flow: flow.posterior([1.0, 1.0], operator=np.eye(2), noise=-1.0), r"noise"),
    ],
)
def test_a_fitted_flow_names_the_parameter(flow: pfgm.PoissonFlow, call: Callable[[Any], Any], text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        call(flow)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["sample", "history", "info", "encode", "score_samples", "score", "save"])
def test_an_unfitted_flow_says_so(name: str, tmp_path: Any) -> None:
    arguments: dict[str, list[Any]] = {"encode": [X], "score_samples": [X], "score": [X], "save": [tmp_path]}
    for kind in (pfgm.NotFittedError, ValueError, AttributeError):
        with pytest.raises(kind, match="not fitted"):
            getattr(pfgm.PoissonFlow(), name)(*arguments.get(name, []))
