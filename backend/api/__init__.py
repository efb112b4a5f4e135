"""The service over HTTP: JSON for programs, and the status page."""
