"""Files in and out: what was collected, its pairs and its scores, as CSV, Parquet and verif's text."""
