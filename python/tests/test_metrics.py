"""Scores, data sets, pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pfgm


def test_scores_have_values_and_intervals() -> None:
    rng = np.random.default_rng(0)
    real, near, far = (rng.normal(shift, 1, (400, 2)).astype(np.float32) for shift in (0, 0, 1))
    same, other = (pfgm.metrics.evaluate(samples, real, scale="standard") for samples in (near, far))
    assert set(same) == {"frechet_distance", "frechet_bias", "kid", "precision", "recall", "density", "coverage"}
    assert same["frechet_distance"].value < 0.1 < 1 < other["frechet_distance"].value
    low, high = other["frechet_distance"].interval
    assert low < other["frechet_distance"].value < high
    assert 0 <= same["recall"].interval[0] <= same["recall"].value <= same["recall"].interval[1] <= 1
    assert float(same["kid"]) == same["kid"].value
    assert pfgm.metrics.evaluate(1e6 * far, real)["frechet_distance"].value < 1, "values outside of the range are clipped"
    assert pfgm.metrics.evaluate(near, real)["frechet_distance"].value < pfgm.metrics.evaluate(far, real)["frechet_distance"].value
    text = str(same)
    assert "frechet_distance" in text and "95 % interval" in text and text == repr(same)
    assert "<table>" in same._repr_html_()
    with pytest.raises(KeyError, match="no such score; there are frechet_distance"):
        same["fid"]
    again = pfgm.metrics.evaluate(real, real)
    assert any("rows of the reference" in warning for warning in again.warnings) and "warning: " in str(again)


def test_data_sets(tmp_path: Path) -> None:
    assert {"digits", "heart", "two-moons"} <= set(pfgm.datasets.names())
    heart = pfgm.datasets.load_heart()
    assert heart.X.shape == (2000, 2) and heart.X.dtype == np.float32 and heart.y is None
    table = tmp_path / "table.csv"
    table.write_text("a,b,kind\n1,2,x\n3,4,y\n5,7,x\n")
    X, y = pfgm.datasets.load(table, label="kind")
    assert X.tolist() == [[1, 2], [3, 4], [5, 7]] and y is not None and y.tolist() == ["x", "y", "x"]
    table.write_text("# measured on Monday\na,b\n1,2\n3,4\n")
    with pytest.warns(UserWarning, match="table.csv: 1 line .*#"):
        assert pfgm.datasets.load(table).X.shape == (2, 2)
    images = tmp_path / "images.npy"
    np.save(images, np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4))
    X, y = pfgm.datasets.load(images)
    assert X.shape == (3, 4, 4) and X.dtype == np.uint8 and y is None


def test_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for shape in ((5, 8, 8), (5, 8, 8, 3), (5, 2), (5, 3)):
        picture = pfgm.plot(rng.random(shape))
        assert picture[:8] == b"\x89PNG\r\n\x1a\n" and picture._repr_png_() == bytes(picture)
    path = picture.save(tmp_path / "picture.png")
    assert path.read_bytes() == bytes(picture)
    with pytest.raises(ValueError, match="^X: shape"):
        pfgm.plot(np.zeros(3))


def test_samples_are_arrays(flow: pfgm.PoissonFlow) -> None:
    new = flow.sample(4, random_state=0)
    assert isinstance(new, np.ndarray) and isinstance(new, pfgm.Samples) and new.nfe > 0
    assert type(new + 1) is np.ndarray and isinstance(new.mean(), np.floating)
    assert type(new @ np.eye(2)) is np.ndarray and new.sum(axis=0).shape == (2,)
    assert np.array_equal(np.asarray(new), new) and new.y is None
