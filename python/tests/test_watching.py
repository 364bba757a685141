"""Progress and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pfgm


@pytest.fixture(autouse=True)
def python_handles_ctrl_c() -> None:
    """Other tests, or a shell in the background, may have left another handler."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_ctrl_c_ends_a_training_and_keeps_what_was_learned(points: Any) -> None:
    def interrupt(step: pfgm.Step) -> None:
        if step.step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    flow = pfgm.PoissonFlow(D=1, steps=100_000, batch_size=32, random_state=0, callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        flow.fit(points)
    assert 5 <= flow.info["step"] <= 7
    assert flow.sample(2).shape == (2, 2)


def test_ctrl_c_ends_sampling(classes: pfgm.PoissonFlow) -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        classes.sample(200_000, solver_steps=1000)
    timer.join()


def test_the_interpreter_runs_on_while_a_flow_trains(points: Any) -> None:
    flow = pfgm.PoissonFlow(D=1, steps=60, batch_size=256, random_state=0)
    thread = threading.Thread(target=flow.fit, args=(points,))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
    thread.join()
    assert turns > 1000 and flow.info["step"] == 60


def test_progress_goes_to_standard_error_where_it_is_wanted(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, pfgm\n"
        "pfgm._display.Progress.AFTER = 0\n"
        "verbose = {'None': None, 'True': True}[sys.argv[1]]\n"
        "pfgm.PoissonFlow(D=1, steps=50, batch_size=32, verbose=verbose).fit(np.random.rand(50, 2))\n"
    )
    for verbose, expected in (("None", False), ("True", True)):
        done = subprocess.run([sys.executable, "-c", code, verbose], capture_output=True, text=True, check=True)
        assert ("training [" in done.stderr) == expected and done.stdout == ""


def test_the_program(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pfgm", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pfgm ") and pfgm.__version__ in done.stdout
    wrong = subprocess.run([sys.executable, "-m", "pfgm", "sample", "no-such-run"], capture_output=True, text=True)
    assert wrong.returncode == 2 and "no-such-run" in wrong.stderr


def test_notebooks_get_one_line_that_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Handle:
        def update(self, content: Any, raw: bool) -> None:
            shown.append(content["text/plain"])

    class Display:
        def display(self, content: Any, raw: bool, display_id: bool) -> Handle:
            shown.append(content["text/plain"])
            return Handle()

    monkeypatch.setattr(pfgm._display, "_notebook", lambda: Display())
    monkeypatch.setattr(pfgm._display.Progress, "AFTER", 0)
    pfgm.PoissonFlow(D=1, steps=50, batch_size=32).fit(np.random.default_rng(0).random((50, 2)))
    assert shown and shown[-1].startswith("training [####################] 50/50")
