"""Small flows that tests share; each is trained once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pfgm


@pytest.fixture(scope="session")
def points() -> Any:
    """Two clusters in the plane."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(-2, 0.5, (300, 2)), rng.normal(2, 0.5, (300, 2))]
    return rng.permutation(np.concatenate(parts)).astype(np.float32)


@pytest.fixture(scope="session")
def flow(points: Any) -> pfgm.PoissonFlow:
    """A flow of these clusters."""
    return pfgm.PoissonFlow(D=1, steps=200, batch_size=128, random_state=0).fit(points)


@pytest.fixture(scope="session")
def digits() -> Any:
    """Digits of 8x8 bytes, and their classes as integers."""
    X, y = pfgm.datasets.load_digits()
    assert y is not None
    return X, y.astype(int)


@pytest.fixture(scope="session")
def classes(digits: Any) -> pfgm.PoissonFlow:
    """A flow of digits with classes, hardly trained."""
    X, y = digits
    return pfgm.PoissonFlow(D=128, steps=3, batch_size=16, random_state=0).fit(X[:200], y[:200])
