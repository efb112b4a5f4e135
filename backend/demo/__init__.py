"""Stand-in upstreams: every source in its true format, fed by a synthetic weather with known biases."""
