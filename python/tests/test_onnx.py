"""Exported graphs in onnxruntime: the same estimates as ours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

import pfgm

ROOT = Path(__file__).parents[2]
#: Networks of the published packages with random weights: every kind, preconditioner and prediction.
PARITY = ROOT / "crates/pfgm/tests/parity"
#: Runs of this program.
RUNS = ROOT / "crates/cli/tests/frozen/runs"

IMPORTED: list[tuple[str, dict[str, Any]]] = [
    ("pfgm_ddpmpp.pth", {"method": "pfgm"}),
    ("pfgm_ncsnpp.pth", {"method": "pfgm"}),
    ("ve_ncsnpp.pth", {"method": "ve"}),
    ("vp_ddpmpp.pth", {"method": "vp"}),
    ("vp_ddpmpp.pth", {"method": "sub-vp"}),
    ("ncsnv2.pth", {}),
    ("pfgmpp.pt", {}),
    ("edm_adm.pth", {"method": "edm"}),
    ("edm_ddpmpp.pth", {"method": "edm"}),
    ("edm_ncsnpp.pth", {"method": "pfgmpp", "D": 128.0}),
    ("edm_precond_vp.pkl", {}),
    ("edm_precond_ve.pkl", {}),
    ("edm2_cond.pkl", {}),
    ("diffusers_ddpm", {}),
    ("diffusers_v_cond", {}),
    ("diffusers_learned", {}),
    ("diffusers_resnet", {}),
    ("diffusers_zero_snr", {}),
]


def session(flow: pfgm.PoissonFlow, path: Path) -> Any:
    """The exported graph, in onnxruntime."""
    assert flow.export(path, format="onnx") is flow
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def channels_first(x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Our rows (n, height, width, channels) as ONNX has images."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1), dtype=np.float32)


def compare(flow: pfgm.PoissonFlow, path: Path) -> None:
    """Compares estimates over the whole range of noise levels, for a batch of another size than in the file."""
    run = session(flow, path)
    info = flow.info
    low, high = info["sigma_min"], info["sigma_max"]
    rng = np.random.default_rng(0)
    shape = tuple(info["row_shape"])
    sigma = np.geomspace(low, high, 5).astype(np.float32)
    # Points of data with noise, some of them noisier than their level says.
    noise = np.array([1, 1, 5, 1, 1], np.float32) * sigma
    x = (0.4 * rng.standard_normal((5, *shape)) + noise.reshape(-1, *[1] * len(shape)) * rng.standard_normal((5, *shape)))
    x = x.astype(np.float32)
    names = info["classes"]
    labels = np.zeros((5, len(names)), np.float32)
    y = None
    if names:
        y = [names[at % len(names)] for at in range(5)]
        labels[np.arange(5), np.arange(5) % len(names)] = 1
    is_image = len(run.get_inputs()[0].shape) == 4
    wide = x.reshape(5, *shape, 1) if is_image and len(shape) == 2 else x
    feed = {"x": channels_first(wide) if is_image else x, "sigma": sigma}
    if names:
        feed["labels"] = labels
    (found,) = run.run(["yhat"], feed)
    wanted = flow.yhat(x.astype(np.float64), sigma.astype(np.float64), y)
    if is_image:
        found = np.moveaxis(found, 1, -1)
    found = found.reshape(wanted.shape)
    for row in range(5):
        error = np.abs(found[row] - wanted[row]).max() / np.abs(wanted[row]).max()
        assert error < 1e-4, f"sigma {sigma[row]}: {error}"


@pytest.mark.parametrize(("name", "how"), IMPORTED)
def test_imported_networks(name: str, how: dict[str, Any], tmp_path: Path) -> None:
    compare(pfgm.import_checkpoint(PARITY / name, **how), tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "name",
    ["adm", "mlp-pfgm", "ncsnv2", "patches", "score-field", "score-sub-vp", "score-ve", "score-vp", "table", "unet-pfgm", "unet"],
)
def test_runs_of_the_program(name: str, tmp_path: Path) -> None:
    compare(pfgm.load(RUNS / f"{name}.safetensors"), tmp_path / "model.onnx")


def program(*arguments: object) -> str:
    """What the program prints."""
    command = [sys.executable, "-m", "pfgm", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compare_with_program(run: Path, folder: Path, output: str, more: dict[str, npt.NDArray[np.float32]]) -> None:
    """Compares the exported graph with `pfgm predict` over the whole range of noise levels."""
    program("export", run, "--format", "onnx", "-o", folder / "model.onnx")
    graph = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    about = graph.get_modelmeta().custom_metadata_map
    assert [port.name for port in graph.get_outputs()] == [output]
    rng = np.random.default_rng(0)
    sigma = np.geomspace(float(about["sigma_min"]), float(about["sigma_max"]), 5).astype(np.float32)
    x = 0.4 * rng.standard_normal((5, 1, 8, 8)) + sigma.reshape(-1, 1, 1, 1) * rng.standard_normal((5, 1, 8, 8))
    feed = {"x": x.astype(np.float32), "sigma": sigma, **more}
    np.savez(folder / "points.npz", **{**feed, "low_resolution_noise": feed.get("low_resolution_noise", sigma)[:1]})
    program("predict", run, "--at", folder / "points.npz", "-o", folder / "found.npz")
    wanted = np.load(folder / "found.npz")[output]
    (found,) = graph.run([output], feed)
    for row in range(5):
        error = np.abs(found[row] - wanted[row]).max() / np.abs(wanted[row]).max()
        assert error < 1e-4, f"sigma {sigma[row]}: {error}"
    # Any batch size.
    (one,) = graph.run([output], {name: values[3:4] for name, values in feed.items()})
    assert np.abs(one[0] - found[3]).max() < 1e-4 * np.abs(found[3]).max()


def test_distilled_runs_are_consistency_functions(tmp_path: Path) -> None:
    small = ["--set", "network.width=8", "--set", "network.attention=[]", "--set", "train.batch=16"]
    program("train", "digits", "--set", "train.steps=2", "--out", tmp_path / "run", *small)
    program("distill", tmp_path / "run", "--steps", 2, "-o", tmp_path / "fast")
    labels = np.eye(10, dtype=np.float32)[[3, 0, 9, 1, 4]]
    compare_with_program(tmp_path / "fast", tmp_path, "f", {"labels": labels})


def test_upscaling_runs_have_a_low_resolution_image(tmp_path: Path) -> None:
    low = np.random.default_rng(1).uniform(-1, 1, (5, 1, 4, 4)).astype(np.float32)
    noise = np.full(5, 0.1, np.float32)
    labels = np.eye(10, dtype=np.float32)[[3, 0, 9, 1, 4]]
    more = {"low_resolution": low, "low_resolution_noise": noise, "labels": labels}
    compare_with_program(RUNS / "cascade" / "upscale-1", tmp_path, "yhat", more)
    graph = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    about = graph.get_modelmeta().custom_metadata_map
    assert about["factor"] == "2" and float(about["low_resolution_noise"]) >= 0
    # Any size, as long as the sides have this ratio.
    large = {"x": np.zeros((1, 1, 12, 16), np.float32), "sigma": np.ones(1, np.float32), "low_resolution_noise": noise[:1], "labels": labels[:1]}
    (found,) = graph.run(None, {**large, "low_resolution": np.zeros((1, 1, 6, 8), np.float32)})
    assert found.shape == (1, 1, 12, 16)


def test_autoencoders(tmp_path: Path) -> None:
    flow = pfgm.import_checkpoint(PARITY / "edm2_cond.pkl", autoencoder=PARITY / "autoencoder_kl")
    compare(flow, tmp_path / "flow.onnx")
    for part in ("encoder", "decoder"):
        flow.export(tmp_path / f"{part}.onnx", format="onnx", part=part)
    encoder, decoder = (onnxruntime.InferenceSession(tmp_path / f"{part}.onnx") for part in ("encoder", "decoder"))
    # What diffusers computes. EDM2 gives its autoencoder pixels of [0, 1], and the scaling of a flow's latents is 0.18215.
    case, scale = np.load(PARITY / "autoencoder_kl.npz"), 0.18215
    mean, std = encoder.run(["mean", "std"], {"image": 2 * case["x"] - 1})
    assert np.abs(mean - scale * case["mean"]).max() < 1e-4 * np.abs(mean).max()
    assert np.abs(std - scale * case["std"]).max() < 1e-4 * np.abs(std).max()
    (image,) = decoder.run(["image"], {"latents": scale * case["mean"]})
    assert np.abs((image + 1) / 2 - case["decoded"]).max() < 1e-4 * np.abs(case["decoded"]).max()
    # Other sizes, one image.
    (image,) = decoder.run(["image"], {"latents": np.zeros((1, 4, 5, 7), np.float32)})
    assert image.shape == (1, 3, 20, 28)
    with pytest.raises(ValueError, match="^part: the flow is not one of latents"):
        pfgm.load("digits").export(tmp_path / "x.onnx", format="onnx", part="decoder")
    with pytest.raises(ValueError, match="^part: 'middle'; give one of flow, encoder, decoder$"):
        flow.export(tmp_path / "x.onnx", format="onnx", part="middle")
    with pytest.raises(ValueError, match="^part: 'decoder' is for format='onnx' only$"):
        flow.export(tmp_path / "x", part="decoder")


def test_samples_of_latents_are_decoded_by_the_graph(tmp_path: Path) -> None:
    program("import", PARITY / "edm2_cond.pkl", "-o", tmp_path / "latents")
    program("import", PARITY / "edm2_cond.pkl", "--autoencoder", PARITY / "autoencoder_kl", "-o", tmp_path / "images")
    few = ["--steps", 2, "--solver", "euler", "--seeds", "3,4", "--class", 1]
    for run in ("latents", "images"):
        program("sample", tmp_path / run, *few, "--npz", tmp_path / f"{run}.npz")
    said = program("export", tmp_path / "images", "--format", "onnx", "-o", tmp_path / "flow.onnx")
    assert "--part decoder" in said
    program("export", tmp_path / "images", "--format", "onnx", "--part", "decoder", "-o", tmp_path / "decoder.onnx")
    flow, decoder = (onnxruntime.InferenceSession(tmp_path / f"{part}.onnx") for part in ("flow", "decoder"))
    about = flow.get_modelmeta().custom_metadata_map
    # Samples in the model's space become the decoder's latents by the flow's metadata.
    model = pfgm.load(tmp_path / "latents")
    space = np.asarray(model.to_model_space(np.load(tmp_path / "latents.npz")["x"]))
    latents = np.float32(json.loads(about["offset"])) + np.float32(json.loads(about["scale"])) * space
    (image,) = decoder.run(None, {"latents": channels_first(latents.reshape(2, 16, 16, 4))})
    found, wanted = np.clip(127.5 * (np.moveaxis(image, 1, -1) + 1), 0, 255), np.load(tmp_path / "images.npz")["x"]
    # Rounded to bytes.
    assert np.abs(found - wanted).max() < 0.6


def test_images_of_another_size(tmp_path: Path) -> None:
    run = session(pfgm.load("digits"), tmp_path / "digits.onnx")
    assert [port.shape for port in run.get_inputs()] == [["batch", 1, "height", "width"], ["batch"], ["batch", 10]]
    sigma, labels = np.full(2, 1.0, np.float32), np.zeros((2, 10), np.float32)
    x = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)
    (small,) = run.run(None, {"x": x, "sigma": sigma, "labels": labels})
    # A network of convolutions gives each corner of a large image about what it gives the small one, and takes sides that it must pad.
    for sides in [(16, 16), (9, 13)]:
        large = np.zeros((2, 1, *sides), np.float32)
        large[..., :8, :8] = x
        (found,) = run.run(None, {"x": large, "sigma": sigma, "labels": labels})
        assert found.shape == large.shape and np.isfinite(found).all()
    assert small.shape == x.shape


def test_the_graph_says_what_it_is(tmp_path: Path) -> None:
    run = session(pfgm.load("digits"), tmp_path / "digits.onnx")
    about = run.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == [str(digit) for digit in range(10)]
    assert float(about["sigma_max"]) > float(about["sigma_min"]) > 0
    # value = offset + scale * yhat, here 0 to 16 from -1 to 1.
    offset, scale = json.loads(about["offset"])[0], json.loads(about["scale"])[0]
    assert offset - scale == 0 and offset + scale > 0


def test_a_sampler_of_ten_lines(tmp_path: Path) -> None:
    flow = pfgm.load("digits")
    flow.export(tmp_path / "digits.onnx", format="onnx")
    book = (ROOT / "docs/importing.md").read_text(encoding="utf-8")
    (code,) = [part.split("```")[0] for part in book.split("```python\n")[1:] if "onnxruntime" in part]
    names: dict[str, Any] = {}
    exec(code.replace("digits.onnx", str(tmp_path / "digits.onnx")), names)  # noqa: S102
    drawn = names["x"]
    assert drawn.shape == (16, 1, 8, 8) and np.abs(drawn).max() < 1.6
    # Samples look like digits: their Fréchet distance, of the pixels, is that of samples of the program.
    images = np.moveaxis(drawn, 1, -1).reshape(16, 8, 8)
    data = flow.to_model_space(pfgm.datasets.load_digits()[0])
    nearest = np.sqrt(((images.reshape(16, 1, 64) - data.reshape(1, -1, 64)) ** 2).mean(axis=2)).min(axis=1)
    own = flow.to_model_space(flow.sample(16, random_state=0))
    ours = np.sqrt(((np.asarray(own).reshape(16, 1, 64) - data.reshape(1, -1, 64)) ** 2).mean(axis=2)).min(axis=1)
    assert np.median(nearest) < 1.5 * np.median(ours)


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^format: 'tf'; give one of safetensors, onnx, diffusers$"):
        pfgm.load("digits").export(tmp_path / "x", format="tf")
