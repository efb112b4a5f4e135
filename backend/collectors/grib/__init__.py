"""GRIB files of AROME: catalogues of published files, the decoder, and its worker process."""
