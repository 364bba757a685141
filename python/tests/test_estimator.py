"""Fitting, sampling, densities, files."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pfgm


def test_fit_learns_two_clusters(flow: pfgm.PoissonFlow, points: Any) -> None:
    new = flow.sample(400, random_state=0)
    assert new.shape == (400, 2) and new.dtype == np.float32
    assert 0.3 < float((new[:, 0] > 0).mean()) < 0.7
    assert abs(float(np.abs(new).mean()) - 2) < 0.4


def test_the_same_seed_gives_the_same_model(points: Any) -> None:
    fits = [pfgm.PoissonFlow(D=1, steps=5, batch_size=32, random_state=seed).fit(points) for seed in (3, 3, 4)]
    a, b, c = (fit.sample(4, random_state=0) for fit in fits)
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_seeds_are_independent_and_samples_are_prefixes(flow: pfgm.PoissonFlow) -> None:
    few, many = flow.sample(3, random_state=1), flow.sample(6, random_state=1)
    assert np.array_equal(few, many[:3])
    other = flow.sample(6, random_state=2)
    assert not set(map(tuple, many.tolist())) & set(map(tuple, other.tolist()))
    assert np.array_equal(flow.sample(seeds=[5, 6])[1:], flow.sample(seeds=[6]))
    generator = np.random.default_rng(0)
    assert not np.array_equal(flow.sample(2, random_state=generator), flow.sample(2, random_state=generator))
    assert not np.array_equal(flow.sample(2), flow.sample(2))


def test_a_weaker_flow_guides(flow: pfgm.PoissonFlow, points: Any) -> None:
    weaker = pfgm.PoissonFlow(D=flow.info["D"], steps=2, batch_size=32, random_state=0).fit(points)
    plain = flow.sample(4, random_state=0)
    guided = flow.sample(4, random_state=0, autoguide=weaker, guidance=2.0)
    assert guided.shape == plain.shape and not np.array_equal(guided, plain)
    nowhere = flow.sample(4, random_state=0, autoguide=weaker, guidance=2.0, guidance_levels=(1e6, 1e7))
    assert np.array_equal(nowhere, plain)
    with pytest.raises(TypeError, match="autoguide: give a PoissonFlow"):
        flow.sample(4, autoguide=points, guidance=2.0)


def test_latents_lead_back(flow: pfgm.PoissonFlow, points: Any) -> None:
    z = flow.encode(points[:20], rtol=1e-6, atol=1e-6)
    assert z.shape == (20, 2) and z.dtype == np.float64
    assert np.abs(flow.decode(z, rtol=1e-6, atol=1e-6) - points[:20]).max() < 1e-3
    between = flow.interpolate(points[0], points[-1], 5)
    assert between.shape == (5, 2)
    assert np.abs(between[[0, -1]] - points[[0, -1]]).max() < 1e-2


def test_densities_integrate_to_one(flow: pfgm.PoissonFlow) -> None:
    # Steps of a standard deviation are enough for the sum of a smooth density.
    axis = np.arange(-4.5, 4.6, 0.5)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    total = np.exp(flow.score_samples(grid, rtol=1e-3, atol=1e-3)).sum() * 0.5**2
    assert abs(total - 1) < 0.1
    assert flow.score(grid[:4]) == pytest.approx(flow.score_samples(grid[:4]).mean())


def test_yhat_and_its_products(flow: pfgm.PoissonFlow, points: Any) -> None:
    x = flow.to_model_space(points[:3])
    assert np.allclose(flow.to_data_units(x), points[:3], atol=1e-5)
    yhat = flow.yhat(x, 0.5)
    assert yhat.shape == (3, 2) and yhat.dtype == np.float64
    assert flow.yhat(x.astype(np.float32), [0.5, 0.5, 0.5]).dtype == np.float32
    v = np.array([[1.0, 0.0]] * 3)
    h = 1e-3
    steps = [np.array([[h, 0.0]]), np.array([[0.0, h]])]
    by_differences = [((flow.yhat(x + step, 0.5) - flow.yhat(x - step, 0.5)) / (2 * h))[:, 0] for step in steps]
    assert np.allclose(flow.vjp(x, 0.5, v), np.stack(by_differences, axis=1), atol=5e-2)


def test_posterior_agrees_with_the_measurement(flow: pfgm.PoissonFlow) -> None:
    A = np.array([[1.0, 1.0]])
    draws = flow.posterior(np.array([4.0]), operator=A, noise=0.1, n=64, random_state=0)
    assert draws.shape == (64, 2) and abs(float((draws @ A.T).mean()) - 4) < 0.5
    masked = flow.posterior(np.array([2.0, 0.0]), operator=np.array([True, False]), noise=0.1, n=8, random_state=0)
    assert abs(float(masked[:, 0].mean()) - 2) < 0.5

    class Sum:
        shape = (1, 2)

        def matvec(self, x: Any) -> Any:
            return np.array([x.sum()])

        def rmatvec(self, v: Any) -> Any:
            return np.repeat(v, 2)

    same = flow.posterior(np.array([4.0]), operator=Sum(), noise=0.1, n=64, random_state=0)
    assert np.allclose(same, draws, atol=1e-4)


def test_an_operator_s_exception_arrives(flow: pfgm.PoissonFlow) -> None:
    class Broken:
        shape = (1, 2)

        def matvec(self, x: Any) -> Any:
            raise KeyError("no such sensor")

        def rmatvec(self, v: Any) -> Any:
            return np.repeat(v, 2)

    with pytest.raises(KeyError, match="no such sensor"):
        flow.posterior(np.array([4.0]), operator=Broken(), noise=0.1)


def test_history_and_callbacks(points: Any) -> None:
    seen: list[pfgm.Step] = []
    flow = pfgm.PoissonFlow(D=1, steps=12, batch_size=32, held_out=50, random_state=0, callbacks=[seen.append])
    history = flow.fit(points).history
    assert [step.step for step in seen] == list(range(1, 13)) and seen[0].steps == 12
    assert history.step.tolist() == list(range(1, 13)) and np.isfinite(history.loss).all()
    assert (np.diff(history.seconds) >= 0).all() and len(history.held_out_loss) > 0
    assert [step.loss for step in seen] == history.loss.tolist()
    assert history.plot()[:8] == b"\x89PNG\r\n\x1a\n"
    page = flow._repr_html_()
    assert "<img" in page and "mlp" in page and "&quot;extra_dims&quot;: 1" in page
    assert "<img" not in pfgm.PoissonFlow()._repr_html_()


def test_a_callback_ends_the_training_and_what_was_learned_stays(points: Any) -> None:
    stop = pfgm.PoissonFlow(D=1, steps=500, batch_size=32, random_state=0, callbacks=[lambda step: step.step == 4])
    assert stop.fit(points).history.step.tolist() == [1, 2, 3, 4]
    assert stop.info["step"] == 4

    def fail(step: pfgm.Step) -> None:
        if step.step == 3:
            raise OSError("the disk is gone")

    flow = pfgm.PoissonFlow(D=1, steps=500, batch_size=32, random_state=0, callbacks=[fail])
    with pytest.raises(OSError, match="the disk is gone"):
        flow.fit(points)
    assert flow.info["step"] == 3 and flow.sample(2).shape == (2, 2)


def test_warm_start_goes_on_where_it_ended(points: Any) -> None:
    whole = pfgm.PoissonFlow(D=1, steps=10, batch_size=32, random_state=0, warm_start=True)
    whole.fit(points)
    whole.set_params(steps=15).fit(points)
    assert whole.info["step"] == 15 and whole.history.step.tolist() == [11, 12, 13, 14, 15]


def test_runs_are_those_of_the_program(flow: pfgm.PoissonFlow, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert flow.save(run) is flow
    again = pfgm.load(run)
    assert np.array_equal(again.sample(3, random_state=7), flow.sample(3, random_state=7))
    assert again.get_params()["D"] == 1 and (run / "config.toml").is_file()
    assert np.array_equal(again.history.loss, flow.history.loss) and again.history.plot()[:4] == b"\x89PNG"
    out, picture = tmp_path / "samples.npz", tmp_path / "samples.png"
    arguments = ["--seeds", "7-9", "--npz", str(out), "-o", str(picture)]
    assert pfgm._pfgm.run(["pfgm", "sample", str(run), *arguments]) == 0
    assert np.array_equal(np.load(out)["x"], flow.sample(seeds=[7, 8, 9]))


def test_losses_of_a_run_of_the_program_are_its_log(tmp_path: Path) -> None:
    run = tmp_path / "run"
    sets = ["--set", "train.steps=20", "--set", "train.log_every=5", "--set", "train.batch=16"]
    assert pfgm._pfgm.run(["pfgm", "train", "heart", "--out", str(run), *sets]) == 0
    history = pfgm.load(run).history
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert history.step.tolist() == [5, 10, 15, 20] and history.loss.tolist() == [line["loss"] for line in lines]


def test_pickles_and_copies_are_whole(flow: pfgm.PoissonFlow, points: Any) -> None:
    for again in (pickle.loads(pickle.dumps(flow)), copy.copy(flow), copy.deepcopy(flow)):
        assert np.array_equal(again.sample(3, random_state=1), flow.sample(3, random_state=1))
        assert again.get_params() == flow.get_params()
        assert np.array_equal(again.history.loss, flow.history.loss)
    unfitted = pickle.loads(pickle.dumps(pfgm.PoissonFlow(D=2)))
    assert unfitted.D == 2


def test_classes_of_any_type(classes: pfgm.PoissonFlow, digits: Any) -> None:
    X, _ = digits
    assert classes.classes_ is not None and classes.classes_.tolist() == list(range(10))
    new = classes.sample(y=[3, 1, 4], solver_steps=2, random_state=0)
    assert new.shape == (3, 8, 8) and new.y.tolist() == [3, 1, 4]
    assert new.min() >= 0 and new.max() <= 255
    one = classes.sample(2, y=np.int64(7), solver_steps=2)
    assert one.y.tolist() == [7, 7]
    shares = classes.sample(20, solver_steps=2, random_state=0)
    assert len(set(shares.y.tolist())) > 3
    logs = classes.score_samples(X[:2], [0, 1], trace="rademacher", solver="heun", solver_steps=4)
    assert logs.shape == (2,) and np.isfinite(logs).all()


def test_images_have_the_range_that_they_were_fitted_with(classes: pfgm.PoissonFlow, digits: Any) -> None:
    X, _ = digits
    assert classes.info["range"] == (0, 16) and classes.sample(2, solver_steps=2).value_range == (0, 16)
    bundled = pfgm.load("digits")
    assert bundled.encode(X[:2], solver="heun", solver_steps=3).shape == (2, 8, 8)
    with pytest.raises(ValueError, match="^X: values lie between 0 and 1600, but the model learned from 0 to 16"):
        bundled.encode(X[:2] * 100.0)
    own = pfgm.PoissonFlow(steps=1, batch_size=8, value_range=(0, 32)).fit(X[:20])
    assert own.info["range"] == (0, 32)
    report = pfgm.metrics.evaluate(bundled.sample(40, solver_steps=5, random_state=0), X[:200])
    assert report["frechet_distance"].value < 3


def test_a_bundled_model() -> None:
    fashion = pfgm.load("fashion-mnist")
    images = fashion.sample(4, y=[0, 1, 2, 3], solver="ipndm", solver_steps=6, random_state=0)
    assert images.shape == (4, 28, 28) and images.min() >= 0 and images.max() <= 255
    assert images.plot()[:4] == b"\x89PNG" and images[:2].plot()._repr_png_()[:4] == b"\x89PNG"
    with pytest.raises(AttributeError, match="log.jsonl"):
        fashion.history


def test_images_keep_their_axes(digits: Any) -> None:
    X, _ = digits
    X = X[:40, :, :, None]
    flow = pfgm.PoissonFlow(D=128, steps=2, batch_size=8, random_state=0).fit(X)
    assert flow.sample(2, solver_steps=2).shape == (2, 8, 8, 1)
    color = np.repeat(X, 3, axis=-1).astype(np.float64) / 16
    flow = pfgm.PoissonFlow(D=128, steps=2, batch_size=8, random_state=0).fit(color)
    new = flow.sample(2, solver_steps=2)
    assert new.shape == (2, 8, 8, 3) and new.dtype == np.float32 and new.max() <= 1


def test_coordinates_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    X = 5_600_000 + 0.1 * rng.normal(size=(300, 2))
    flow = pfgm.PoissonFlow(D=1, steps=100, batch_size=64, random_state=0).fit(X)
    new = flow.sample(100, random_state=0)
    assert new.dtype == np.float64 and 0.03 < float(new.std()) < 0.3
    assert len(np.unique(new[:, 0])) > 90


def test_configurations(points: Any, tmp_path: Path) -> None:
    flow = pfgm.PoissonFlow(D=1, steps=2, config={"network": {"width": 16}, "train.ema": 0.5}).fit(points)
    config = json.loads(flow.info["config"])
    assert config["network"]["width"] == 16 and config["train"]["ema"] == 0.5 and config["train"]["steps"] == 2
    preset = pfgm.PoissonFlow(config="heart", steps=2).fit(pfgm.datasets.load_heart().X)
    assert preset.info["D"] == 1
    toml = tmp_path / "own.toml"
    toml.write_text('[data]\nsource = "own"\n[flow]\nextra_dims = 4\n[network]\nkind = "mlp"\nwidth = 8\n')
    own = pfgm.PoissonFlow(config=toml, steps=2, batch_size=16).fit(points)
    assert own.info["D"] == 4 and json.loads(own.info["config"])["network"]["width"] == 8


def test_text(flow: pfgm.PoissonFlow) -> None:
    assert repr(flow) == "PoissonFlow(D=1, steps=200, batch_size=128, random_state=0)"
    assert repr(pfgm.PoissonFlow()) == "PoissonFlow()"
