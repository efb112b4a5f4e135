"""GRIB files of AROME: where they are published, and how they are decoded."""
