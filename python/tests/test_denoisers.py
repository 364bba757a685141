"""The flow's algorithms on fields and on any callable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pfgm

SPREAD = 0.5


def gaussian(x: Any, sigma: Any) -> Any:
    """The denoiser of a Gaussian with this standard deviation."""
    return x * (SPREAD**2 / (SPREAD**2 + sigma**2))[:, None]


def product(x: Any, sigma: Any, v: Any) -> Any:
    """Its vector-Jacobian product."""
    return v * (SPREAD**2 / (SPREAD**2 + sigma**2))[:, None]


def test_the_exact_field(points: Any) -> None:
    field = pfgm.ExactField(points, D=128)
    assert field.yhat(points[:4], sigma=0.1).shape == (4, 2)
    start = field.prior(200, sigma=80.0, random_state=0)
    called = pfgm.solve(lambda x, s: field.yhat(x, s), start, sigma_max=80, sigma_min=0.002, solver="rk45", rtol=1e-4)
    native = pfgm.solve(field, start, sigma_max=80, sigma_min=0.002, solver="rk45", rtol=1e-4)
    assert np.array_equal(called.x, native.x) and called.nfe == native.nfe > 0
    nearest = np.abs(called.x[:, None] - points[None]).max(axis=2).min(axis=1)
    assert np.median(nearest) < 0.05
    assert field.sample(3, random_state=0, solver="heun", solver_steps=20).shape == (3, 2)


def test_a_field_s_products_and_densities(points: Any) -> None:
    field = pfgm.ExactField(points[:50], D=1)
    x, h = points[:2].astype(np.float64), 1e-5
    v = np.array([[0.0, 1.0]] * 2)
    steps = [np.array([[h, 0.0]]), np.array([[0.0, h]])]
    by_differences = [((field.yhat(x + s, 0.7) - field.yhat(x - s, 0.7)) / (2 * h))[:, 1] for s in steps]
    assert np.allclose(field.vjp(x, 0.7, v), np.stack(by_differences, axis=1), atol=1e-6)
    logs = field.log_density(x, 0.7)
    along = pfgm.log_likelihood(field, x, sigma_min=0.7, sigma_max=2000, D=1, rtol=1e-7, atol=1e-7)
    assert np.allclose(logs, along, atol=2e-2)


def test_any_function_is_a_denoiser() -> None:
    x = np.array([[80.0, -40.0]], dtype=np.float32)
    seen: list[Any] = []

    def denoiser(x: Any, sigma: Any) -> Any:
        seen.append((x.dtype, x.shape, sigma.shape))
        return gaussian(x, sigma)

    ends = pfgm.solve(denoiser, x, sigma_max=80, sigma_min=1e-3, solver="heun", solver_steps=200)
    assert ends.x.dtype == np.float32 and np.allclose(ends.x, x * SPREAD / 80, atol=2e-3)
    assert seen[0] == (np.float32, (1, 2), (1,)) and ends.nfe == len(seen)
    back = pfgm.solve(gaussian, np.array([[0.5]]), sigma_max=80, sigma_min=1e-3, reverse=True, rtol=1e-7)
    assert np.allclose(back.x, 80, atol=0.05)


@pytest.mark.parametrize("vjp", [None, product])
@pytest.mark.parametrize("trace", ["exact", "rademacher"])
def test_densities_of_a_function(vjp: Any, trace: str) -> None:
    x = np.array([[0.0, 0.3], [1.0, -0.2]])
    logs = pfgm.log_likelihood(gaussian, x, sigma_max=80, sigma_min=1e-3, vjp=vjp, trace=trace, rtol=1e-6, atol=1e-6)
    exact = -0.5 * (x**2).sum(axis=1) / SPREAD**2 - np.log(2 * np.pi * SPREAD**2)
    assert np.allclose(logs, exact, atol=2e-3)


def test_posterior_of_a_function() -> None:
    # y ~ N(0, 0.25 I), a = y_0 + N(0, 0.01): mean 0.25 / 0.26 a, variance 0.25 * 0.01 / 0.26.
    draws = pfgm.posterior(
        gaussian,
        np.array([1.0]),
        operator=np.array([[1.0, 0.0]]),
        noise=0.1,
        n=2000,
        sigma_max=80,
        sigma_min=1e-3,
        vjp=product,
        random_state=0,
        solver_steps=40,
    )
    assert abs(draws[:, 0].mean() - 0.25 / 0.26) < 0.02
    assert abs(draws[:, 0].std() - (0.25 * 0.01 / 0.26) ** 0.5) < 0.02
    assert abs(draws[:, 1].std() - SPREAD) < 0.03
    with pytest.raises(ValueError, match="^vjp: posterior sampling needs the Jacobian"):
        pfgm.posterior(gaussian, [1.0], operator=np.array([[1.0, 0.0]]), noise=0.1, sigma_max=80, sigma_min=1e-3)


@pytest.mark.parametrize("solver", ["heun", "rk45", "unipc-2"])
def test_exceptions_of_a_function_arrive_unchanged(solver: str) -> None:
    error = LookupError("no weights")
    calls = 0

    def denoiser(x: Any, sigma: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise error
        return gaussian(x, sigma)

    with pytest.raises(LookupError) as caught:
        pfgm.solve(denoiser, np.ones((2, 1)), sigma_max=80, sigma_min=1e-3, solver=solver)
    assert caught.value is error and calls == 3


def test_what_a_function_must_return() -> None:
    with pytest.raises(ValueError, match="^denoiser: returned 1 values for points of 4"):
        pfgm.solve(lambda x, s: x[:1, :1], np.ones((2, 2)), sigma_max=80, sigma_min=1e-3)
    with pytest.raises(ValueError, match="^denoiser: int cannot be called"):
        pfgm.solve(3, np.ones((2, 2)), sigma_max=80, sigma_min=1e-3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="^sigma_min, sigma_max: "):
        pfgm.solve(gaussian, np.ones((2, 2)), sigma_max=1, sigma_min=2)
    with pytest.raises(ValueError, match="^solver: yhat is not finite"):
        pfgm.solve(lambda x, s: x * np.nan, np.ones((2, 2)), sigma_max=80, sigma_min=1e-3)


def test_tensors_stay_tensors() -> None:
    torch = pytest.importorskip("torch")

    def denoiser(x: Any, sigma: Any) -> Any:
        assert isinstance(x, torch.Tensor) and x.dtype == torch.float32
        return x * (SPREAD**2 / (SPREAD**2 + sigma**2))[:, None]

    x = torch.tensor([[80.0, 40.0]])
    ends = pfgm.solve(denoiser, x, sigma_max=80, sigma_min=1e-3, solver_steps=100)
    assert isinstance(ends.x, torch.Tensor) and torch.allclose(ends.x, x * SPREAD / 80, atol=1e-2)
    logs = pfgm.log_likelihood(denoiser, torch.zeros((1, 2)), sigma_max=80, sigma_min=1e-3)
    assert abs(logs[0] + np.log(2 * np.pi * SPREAD**2)) < 1e-2
    flow = pfgm.PoissonFlow(steps=1, batch_size=8).fit(torch.rand(20, 2, requires_grad=True))
    assert flow.n_features_in_ == 2
