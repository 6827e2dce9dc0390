"""``python -m casehook``: the command line."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from casehook import _native


def main() -> int:
    """Runs the command of ``sys.argv``; the result is the exit code."""
    stop = _native.StopFlag()
    asked = False

    def ask(number: int, _frame: FrameType | None) -> None:
        # The first signal asks for a graceful stop, a second one ends the process as that signal would.
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        stop.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return _native.run_cli(["casehook", *sys.argv[1:]], stop)


if __name__ == "__main__":
    sys.exit(main())
