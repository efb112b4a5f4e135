"""Code that all beacon networks share: readings, their times and values, and gaps."""
