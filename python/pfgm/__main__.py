"""The program ``pfgm``: ``python -m pfgm`` and the console script."""

from __future__ import annotations

import signal
import sys

from . import _pfgm


def main() -> int:
    """Runs the program with the arguments of this process; returns its exit code."""
    # The program has its own handling of Ctrl-C, which saves what was learned.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return _pfgm.run(["pfgm", *sys.argv[1:]])
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
