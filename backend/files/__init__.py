"""Export and import of files: values, pairs and scores as CSV, Parquet and verif's text format."""
