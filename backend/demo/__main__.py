"""`python -m backend.demo`: serve the stand-in upstreams."""

from backend.demo.upstreams import main

if __name__ == "__main__":
    main()
