"""Denoising, inpainting, posterior draws and anomaly scores of a trained flow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pfgm


def test_the_denoised_mean_is_yhat(flow: pfgm.PoissonFlow, points: Any) -> None:
    few = points[:5]
    clean = flow.denoise(few, 0.5, mean=True)
    expected = flow.to_data_units(flow.yhat(flow.to_model_space(few), 0.5))
    assert np.allclose(clean, expected, atol=1e-4) and clean.nfe == 1 and clean.sigma.tolist() == [0.5] * 5


def test_denoising_is_the_flow_from_the_noise_level_down(flow: pfgm.PoissonFlow, points: Any) -> None:
    few, low = points[:5], flow.info["sigma_min"]
    clean = flow.denoise(few, 0.5, solver="heun", solver_steps=30)
    x = flow.to_model_space(few)
    ends = pfgm.solve(flow.yhat, x, sigma_max=0.5, sigma_min=low, D=1, solver="heun", solver_steps=30)
    assert np.allclose(clean, flow.to_data_units(ends.x), atol=1e-3)


def test_the_noise_of_images_is_estimated(digits: Any) -> None:
    X, _ = digits
    rng = np.random.default_rng(0)
    noisy = np.clip(X[:8] + rng.normal(0, 4, (8, 8, 8)), -7, 23)
    clean = pfgm.load("digits").denoise(noisy, mean=True)
    # Half of the range of 16 is 1 in the model's space. Digits of 8x8 pixels have fine details, which count as noise.
    assert 0.4 < clean.sigma.mean() < 1 and len(set(clean.sigma.tolist())) == 8
    assert np.abs(clean - X[:8]).mean() < np.abs(noisy - X[:8]).mean()


def test_inpainting_keeps_what_is_known(flow: pfgm.PoissonFlow) -> None:
    X = np.array([[2.0, 0.0], [-2.0, 0.0]], dtype=np.float32)
    filled = flow.inpaint(X, [True, False], n=8, steps=40, rounds=3, random_state=0)
    assert filled.shape == (16, 2) and np.abs(filled[:, 0] - np.repeat([2, -2], 8)).max() < 1e-5
    # Each cluster has both coordinates of one sign.
    assert (filled[:8, 1] > 0).mean() > 0.7 and (filled[8:, 1] < 0).mean() > 0.7
    assert np.array_equal(filled, flow.inpaint(X, [True, False], n=8, steps=40, rounds=3, random_state=0, batch_size=3))


def test_several_measurements_have_their_own_draws(flow: pfgm.PoissonFlow) -> None:
    A = np.array([[1.0, 1.0]])
    draws = flow.posterior(np.array([[4.0], [-4.0]]), operator=A, noise=0.1, n=16, random_state=0)
    assert draws.shape == (32, 2)
    assert np.abs(draws[:16].sum(axis=1) - 4).mean() < 0.5 and np.abs(draws[16:].sum(axis=1) + 4).mean() < 0.5
    rows = np.array([[2.0, np.nan], [-2.0, np.nan]])
    masked = flow.posterior(rows, operator=np.array([True, False]), noise=0.1, n=4, random_state=0)
    assert masked.shape == (8, 2) and np.abs(masked[:, 0] - np.repeat([2, -2], 4)).mean() < 0.5


@pytest.mark.parametrize("method", ["mmps", "pigdm", "dps", "tds"])
def test_every_method_agrees_with_the_measurement(flow: pfgm.PoissonFlow, method: str) -> None:
    A = np.array([[1.0, 0.0]])
    draws = flow.posterior(np.array([2.0]), operator=A, noise=0.3, n=32, random_state=0, method=method, solver_steps=20)
    # DPS is biased, and its draws spread (docs/posterior.md); the prior's mean is 0.
    near = 1.2 if method == "dps" else 0.5
    assert abs(float(draws[:, 0].mean()) - 2) < near and (draws[:, 1] > 0).mean() > 0.6
    default = flow.posterior(np.array([2.0]), operator=A, noise=0.3, n=32, random_state=0, solver_steps=20)
    assert np.array_equal(draws, default) == (method == "mmps")


def test_anomalies_have_high_scores(flow: pfgm.PoissonFlow, points: Any) -> None:
    far = np.array([[8.0, -8.0], [-7.0, 7.0]])
    found = flow.anomaly_scores(far, points[:20], sigmas=[0.5], rtol=1e-3, atol=1e-3)
    assert list(found) == ["typicality", "likelihood", "reconstruction at 0.5", "combined"]
    assert found["likelihood"].shape == (2,) and found.normal["likelihood"].shape == (20,)
    assert found.area_under_roc["likelihood"] == found.area_under_roc["reconstruction at 0.5"] == 1
    assert np.allclose(found["likelihood"], -flow.score_samples(far, rtol=1e-3, atol=1e-3), atol=1e-3)
    pairs = found["typicality"][:, None] > found.normal["typicality"][None]
    assert found.area_under_roc["typicality"] == pytest.approx(pairs.mean())
    assert "area under ROC" in repr(found)
    with pytest.raises(KeyError, match="no such score; there are typicality"):
        found["fid"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda flow: flow.denoise(np.zeros((2, 2))), r"^sigma: noise can be estimated of images"),
        (lambda flow: flow.denoise(np.zeros((2, 2)), 1e9), r"^sigma: 1000000000: give a number above"),
        (lambda flow: flow.inpaint(np.zeros((2, 2)), [True]), r"^known: bool of shape 1; give one bool"),
        (lambda flow: flow.inpaint(np.zeros((2, 2)), [True, True]), r"^known: all values are known"),
        (lambda flow: flow.inpaint(np.zeros((2, 2)), [1, 0]), r"^known: int64 of shape 2; give one bool"),
        (lambda flow: flow.inpaint(np.zeros((2, 2)), [True, False], rounds=0), r"^rounds: 0; give a whole number"),
        (lambda flow: flow.anomaly_scores(np.zeros((2, 2)), np.zeros((1, 2))), r"^normal: 1 usual rows"),
        (lambda flow: flow.anomaly_scores(np.zeros((2, 2)), np.zeros((2, 3))), r"^normal: rows of shape \(3,\)"),
        (lambda flow: flow.posterior([1.0], operator=[[1.0, 0.0]], noise=0.1, method="svd"), r"^method: unknown method `svd`"),
        (lambda flow: flow.posterior([1.0], operator=[[1.0, 0.0]], noise=0.1, method="dps", zeta=0), r"^zeta: 0: give"),
        (lambda flow: flow.posterior([1.0], operator=[[1.0, 0.0]], noise=0.1, n=9, method="tds", particles=8), r"^particles: 8"),
    ],
)
def test_wrong_values_are_named(flow: pfgm.PoissonFlow, call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        call(flow)
    assert "\n" not in str(caught.value)
