"""Basis of all other folders: settings, records, parameters, units, time and errors."""
