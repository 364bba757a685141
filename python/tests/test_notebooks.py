"""The notebooks: CI executes the English one; the Chinese one has the same code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def cells(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    return found


def test_both_languages_have_the_same_code_and_no_outputs() -> None:
    english, chinese = cells("poisson_flow.ipynb"), cells("poisson_flow.zh-CN.ipynb")
    assert [cell["cell_type"] for cell in english] == [cell["cell_type"] for cell in chinese]
    for one, other in zip(english, chinese):
        if one["cell_type"] == "code":
            assert one["source"] == other["source"] and not one["outputs"] and not other["outputs"]
        else:
            assert one["source"] != other["source"]
