"""scikit-learn's tools accept the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pfgm

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def small(**params: Any) -> pfgm.PoissonFlow:
    return pfgm.PoissonFlow(**{"D": 1, "steps": 30, "batch_size": 32, "random_state": 0, **params})


def test_clones_have_the_parameters_and_are_not_fitted(flow: pfgm.PoissonFlow) -> None:
    twin = clone(flow)
    assert twin.get_params() == flow.get_params() and not hasattr(twin, "model_")
    assert small().set_params(steps=7).steps == 7


def test_pipelines(points: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), small())
    pipeline.fit(points)
    assert pipeline.score_samples(points[:5]).shape == (5,)
    assert np.isfinite(pipeline.score(points[:50]))
    assert pipeline.set_params(poissonflow__steps=3)[-1].steps == 3
    assert "PoissonFlow" in pipeline._repr_html_()


def test_searches(points: Any) -> None:
    search = GridSearchCV(small(), {"steps": [1, 60]}, cv=2)
    search.fit(points[:160])
    assert search.best_params_ == {"steps": 60}
    assert search.best_estimator_.sample(2).shape == (2, 2)
    scores = cross_val_score(small(), points[:120], cv=3)
    assert scores.shape == (3,) and np.isfinite(scores).all()
