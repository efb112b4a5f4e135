"""HTML pages for pilots and for the operator, in French and English, complete without scripts."""
