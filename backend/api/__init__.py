"""The service over HTTP: JSON for programs."""
