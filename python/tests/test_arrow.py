"""Tables of Arrow: names, types and kinds of columns come back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pfgm
from pfgm._arrow import ArrowTable

arrow = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module")
def table() -> Any:
    rng = np.random.default_rng(0)
    kind = rng.choice(["red", "white"], 300)
    return arrow.table(
        {
            "alcohol": rng.normal(10, 1, 300) + (kind == "red"),
            "acid": arrow.array(rng.normal(3, 0.1, 300).astype(np.float32)),
            "quality": arrow.array(rng.integers(3, 9, 300), arrow.int8()),
            "kind": arrow.array(kind.tolist()).dictionary_encode(),
            "origin": rng.choice(["a", "b", "c"], 300).tolist(),
            "organic": rng.random(300) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def flow(table: Any) -> pfgm.PoissonFlow:
    return pfgm.PoissonFlow(D=128, steps=300, batch_size=64, random_state=0).fit(table)


def test_columns_keep_names_and_types(flow: pfgm.PoissonFlow, table: Any) -> None:
    new = flow.sample(200, random_state=0)
    assert isinstance(new, arrow.Table) and new.schema.equals(table.schema)
    assert set(new["kind"].to_pylist()) == {"red", "white"} and set(new["origin"].to_pylist()) <= {"a", "b", "c"}
    assert min(new["quality"].to_pylist()) >= 3 and max(new["quality"].to_pylist()) <= 8
    assert abs(np.mean(new["alcohol"].to_pylist()) - np.mean(table["alcohol"].to_pylist())) < 1
    assert flow.n_features_in_ == 6 and flow.feature_names_in_.tolist() == table.column_names


def test_rows_come_back_from_latents(flow: pfgm.PoissonFlow, table: Any) -> None:
    few = table.slice(0, 10)
    back = flow.decode(flow.encode(few))
    for name in ("kind", "origin", "quality", "organic"):
        assert back[name].to_pylist() == few[name].to_pylist()
    turned = few.select(list(reversed(few.column_names)))
    assert np.array_equal(flow.score_samples(few), flow.score_samples(turned))


def test_a_flow_of_one_library_reads_tables_of_the_other(flow: pfgm.PoissonFlow, table: Any) -> None:
    pytest.importorskip("pandas")
    few = table.slice(0, 10)
    assert np.allclose(flow.score_samples(few.to_pandas()), flow.score_samples(few))


def test_files_and_pickles_keep_columns(flow: pfgm.PoissonFlow, tmp_path: Path) -> None:
    again = pfgm.load(flow.save(tmp_path / "run") and tmp_path / "run")
    for other in (again, pickle.loads(pickle.dumps(flow))):
        assert other.sample(5, random_state=3).equals(flow.sample(5, random_state=3))


def test_unknown_columns_are_filled(flow: pfgm.PoissonFlow, table: Any) -> None:
    filled = flow.inpaint(table.slice(0, 4), ["kind", "quality"], n=2, steps=10, rounds=1, random_state=0)
    assert filled.num_rows == 8 and filled["kind"].to_pylist() == [value for value in table["kind"].to_pylist()[:4] for _ in "ab"]
    assert filled["quality"].to_pylist() == [value for value in table["quality"].to_pylist()[:4] for _ in "ab"]
    with pytest.raises(ValueError, match="^known: no column 'color'; there are alcohol"):
        flow.inpaint(table.slice(0, 4), ["color"])


def test_lists_of_one_length_are_rows_without_a_copy() -> None:
    values = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    column = arrow.FixedSizeListArray.from_arrays(arrow.array(values.reshape(-1)), 4)
    lists = arrow.table({"vector": column})
    rows = ArrowTable(lists).fixed_size_list()
    assert rows is not None and np.array_equal(rows, values)
    assert rows.__array_interface__["data"][0] == column.flatten().buffers()[1].address
    flow = pfgm.PoissonFlow(D=1, steps=3, batch_size=16, random_state=0)
    from_lists = flow.fit(lists).sample(2, random_state=0)
    assert np.array_equal(from_lists, flow.fit(values).sample(2, random_state=0))
    several = arrow.concat_tables([lists, lists.slice(5, 10)])
    assert flow.score_samples(several).shape == (70,)


def test_polars_gets_polars_back(table: Any) -> None:
    polars = pytest.importorskip("polars")
    frame = polars.from_arrow(table)
    flow = pfgm.PoissonFlow(D=128, steps=5, batch_size=64, random_state=0).fit(frame)
    new = flow.sample(4, random_state=0)
    assert isinstance(new, polars.DataFrame) and new.columns == frame.columns
    assert [kind for kind in new.dtypes if kind != polars.Categorical] == [kind for kind in frame.dtypes if kind != polars.Categorical]
    assert flow.score_samples(frame[:3]).shape == (3,)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda t: t.drop_columns("kind"), r"^X: no column 'kind'"),
        (lambda t: t.set_column(4, "origin", [["d"] * 5]), r"^X: row 0, column 'origin' is 'd'"),
        (lambda t: t.set_column(0, "alcohol", [[1.0, None, 1.0, 1.0, 1.0]]), r"^X: row 1, value 0 is NaN"),
        (lambda t: t.set_column(2, "quality", [[3, 4, None, 5, 6]]), r"^X: row 2, value 2 is NaN"),
    ],
)
def test_other_tables_are_refused(flow: pfgm.PoissonFlow, table: Any, change: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        flow.score_samples(change(table.slice(0, 5)))


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"x": ["a", None, "b"]}, r"^X: row 1, column 'x' is missing"),
        ({"x": [[1, 2], [3], []]}, r"^X: column 'x' of type .*neither numbers nor names"),
    ],
)
def test_columns_that_are_no_rows_are_refused(columns: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        pfgm.PoissonFlow(steps=1).fit(arrow.table(columns))
