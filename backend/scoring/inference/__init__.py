"""The uncertainty of scores, and tests of whether two scores differ."""
