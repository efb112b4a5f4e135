"""The door of the command, which imports nothing by itself.

The worker process opens it too: it runs the file that its parent was started by, and must not load the
whole service for that.
"""

from __future__ import annotations


def main() -> None:
    """Run the command."""
    from backend.cli import app

    app()


if __name__ == "__main__":
    main()
