"""The door of the command, which imports next to nothing by itself.

The worker process opens it too: it runs the file that its parent was started by, and must not load the
whole service for that.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command."""
    try:
        _run()
    except KeyboardInterrupt:  # while the command is still being loaded: what runs has its own rule for it
        print("meteo-score: stopped", file=sys.stderr)
        raise SystemExit(130) from None


def _run() -> None:
    from backend.core.terminal import print_every_text

    print_every_text()
    from backend.cli.app import app

    # What was imported lives as long as the process. Looked over again and again, as the garbage collector
    # does while a large batch is stored, it costs more than the storing.
    gc.freeze()
    app()


if __name__ == "__main__":
    main()
