"""`python -m backend.demo`: serve the stand-in upstreams."""

from backend.demo.server import main

if __name__ == "__main__":
    main()
