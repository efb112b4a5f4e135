"""What every other room stands on: settings, records, parameters, units, time and errors."""
