"""How sure a score is, and whether two scores differ."""
