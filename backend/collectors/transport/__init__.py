"""HTTP requests and their limits, checks of bodies, decoding, and the payload archive."""
