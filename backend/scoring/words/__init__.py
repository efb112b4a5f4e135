"""Sentences, caveats and the page of methods."""
