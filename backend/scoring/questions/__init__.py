"""The questions of a pilot, each answered from a sample."""
