"""DataFrames: names and kinds of columns come back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pfgm

pandas = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def frame() -> Any:
    rng = np.random.default_rng(0)
    kind = rng.choice(["red", "white"], 300)
    return pandas.DataFrame(
        {
            "alcohol": rng.normal(10, 1, 300) + (kind == "red"),
            "quality": rng.integers(3, 9, 300),
            "kind": pandas.Categorical(kind),
            "origin": rng.choice(["a", "b", "c"], 300),
            "organic": rng.random(300) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def flow(frame: Any) -> pfgm.PoissonFlow:
    return pfgm.PoissonFlow(D=128, steps=300, batch_size=64, random_state=0).fit(frame)


def test_columns_keep_names_and_kinds(flow: pfgm.PoissonFlow, frame: Any) -> None:
    new = flow.sample(200, random_state=0)
    assert list(new.columns) == list(frame.columns)
    assert new.dtypes.tolist() == frame.dtypes.tolist()
    assert set(new["kind"]) == {"red", "white"} and set(new["origin"]) <= {"a", "b", "c"}
    assert new["quality"].between(3, 8).all()
    assert abs(new["alcohol"].mean() - frame["alcohol"].mean()) < 1
    assert flow.n_features_in_ == 5 and flow.feature_names_in_.tolist() == list(frame.columns)


def test_rows_are_found_by_the_names_of_columns(flow: pfgm.PoissonFlow, frame: Any) -> None:
    few = frame[:10]
    turned = few[list(reversed(few.columns))]
    assert np.array_equal(flow.score_samples(few), flow.score_samples(turned))
    z = flow.encode(few)
    back = flow.decode(z)
    assert back["kind"].tolist() == few["kind"].tolist() and back["quality"].tolist() == few["quality"].tolist()


def test_files_and_pickles_keep_columns(flow: pfgm.PoissonFlow, tmp_path: Path) -> None:
    again = pfgm.load(flow.save(tmp_path / "run") and tmp_path / "run")
    for other in (again, pickle.loads(pickle.dumps(flow))):
        pandas.testing.assert_frame_equal(other.sample(5, random_state=3), flow.sample(5, random_state=3))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda frame: frame.drop(columns="kind"), r"^X: no column 'kind'"),
        (lambda frame: frame.assign(origin="d"), r"^X: row 0, column 'origin' is 'd'"),
        (lambda frame: frame.assign(alcohol=np.nan), r"^X: row 0, value 0 is NaN"),
    ],
)
def test_other_tables_are_refused(flow: pfgm.PoissonFlow, frame: Any, change: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        flow.score_samples(change(frame[:5]))


def test_missing_categories_are_refused(frame: Any) -> None:
    broken = frame.assign(origin=[None, *frame["origin"][1:]])
    with pytest.raises(ValueError, match=r"^X: row 0, column 'origin' is missing"):
        pfgm.PoissonFlow(steps=1).fit(broken)


def test_pandas_is_not_imported_unasked() -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np, pfgm; pfgm.PoissonFlow(steps=1, batch_size=4).fit(np.random.rand(20, 2)).sample(2);"
        "print([m for m in ('pandas', 'torch', 'sklearn', 'matplotlib', 'IPython') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
