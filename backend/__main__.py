"""The entry point of the command, which imports almost nothing at its top.

The worker process runs this file too: a spawned process imports the main file of its parent, and must not
load the whole service.
"""

from __future__ import annotations

import gc
import signal
import sys


def main() -> None:
    """Run the command."""
    try:
        _run()
    except KeyboardInterrupt:  # while the command is loading; a running command has a handler of its own
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("meteo-score: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    finally:  # what is left is Python's own end, where an interrupt would print a traceback
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run() -> None:
    # Imports create many objects and no garbage: collections during them take a tenth of the CPU time of a
    # short command. The subcommand enables them again once it is loaded.
    gc.disable()
    from backend.core.terminal import print_every_text

    print_every_text()
    from backend.cli.app import app

    app()


if __name__ == "__main__":
    main()
