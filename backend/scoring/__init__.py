"""From collected values to a verdict: pairing, scores, inference. METHODS in docs/methodology.md."""
