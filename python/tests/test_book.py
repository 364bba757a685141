"""The code of docs/python.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pfgm

PAGE = (Path(__file__).parents[2] / "docs/python.md").read_text(encoding="utf-8")


def block(begin: str) -> str:
    """The block of Python that begins with these words."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (found,) = [block for block in blocks if block.startswith(begin)]
    return str(found)


def test_restoration(digits: Any) -> None:
    X, _ = digits
    upper = np.arange(8)[:, None].repeat(8, 1) < 4
    flow = pfgm.load("digits")
    names = {"flow": flow, "noisy": X[:2], "X": X[:1], "mask": upper, "normal": X[2:5], "A": np.eye(64)[:3], "a": np.zeros(3)}
    exec(block("clean = "), names)  # noqa: S102
    assert names["filled"].shape == (4, 8, 8) and names["draws"].shape == (64, 8, 8)
    assert set(names["scores"].area_under_roc) >= {"likelihood", "typicality"}


def test_comparison(flow: pfgm.PoissonFlow, points: Any) -> None:
    text = block("found = ").replace("n=2000", "n=20")
    names = {"pfgm": pfgm, "one": flow, "other": flow, "X": points}
    exec(text, names)  # noqa: S102
    assert len(names["found"]) == 2 * (3 + 3 + 1)


def test_a_flow_is_a_layer_of_pytorch(flow: pfgm.PoissonFlow, points: Any) -> None:
    torch = pytest.importorskip("torch")
    names = {"torch": torch, "flow": flow}
    exec(block("class Yhat"), names)  # noqa: S102
    x = torch.from_numpy(flow.to_model_space(points[:3])).requires_grad_(True)
    v = torch.randn(3, 2, dtype=torch.float64)
    (product,) = torch.autograd.grad((names["Yhat"].apply(x, 0.5) * v).sum(), x)
    assert np.allclose(product.numpy(), flow.vjp(x.detach().numpy(), 0.5, v.numpy()))
