"""Arrays of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pfgm
from pfgm._arrays import as_array, rows_of


class Tensor:
    """A tensor of a library that speaks DLPack only."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **how: Any) -> Any:
        return self.values.__dlpack__(**how)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


class Lazy:
    """An object with NumPy's array protocol only."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype=dtype)


@pytest.mark.parametrize("kind", [Tensor, Lazy])
def test_tensors_by_protocol(kind: Any, flow: pfgm.PoissonFlow, points: Any) -> None:
    one = pfgm.PoissonFlow(D=1, steps=3, batch_size=16, random_state=0)
    assert np.array_equal(one.fit(kind(points)).sample(2, random_state=0), one.fit(points).sample(2, random_state=0))
    assert np.array_equal(flow.score_samples(kind(points[:3])), flow.score_samples(points[:3]))
    assert np.array_equal(flow.yhat(kind(points[:3]), 0.5), flow.yhat(points[:3], 0.5))
    back = pfgm.solve(lambda x, sigma: x / 2, kind(points[:3]), sigma_max=2, sigma_min=1, solver_steps=2)
    assert isinstance(back.x, np.ndarray) and back.x.dtype == np.float32


def test_arrays_are_not_copied_on_their_way() -> None:
    single = np.zeros((4, 3), dtype=np.float32)
    for values in (single, Tensor(single), Lazy(single)):
        assert np.shares_memory(as_array(values, "X"), single) and np.shares_memory(rows_of(values, "X"), single)
    images = np.zeros((4, 8, 8), dtype=np.uint8)
    assert np.shares_memory(rows_of(images, "X"), images)


def test_samples_are_given_away_without_a_copy(flow: pfgm.PoissonFlow) -> None:
    new = flow.sample(3, random_state=0)
    assert np.shares_memory(np.from_dlpack(new), new)
