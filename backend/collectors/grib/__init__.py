"""GRIB files of models: catalogues of published files, the decoder, and its worker process."""
