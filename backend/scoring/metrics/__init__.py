"""The errors and scores, from pairs of forecast and observation."""
