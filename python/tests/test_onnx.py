"""Exported graphs in onnxruntime: the same estimates as ours."""

from __future__ import annotations

import json
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
