"""From stored values to score days."""
