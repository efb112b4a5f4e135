"""The service over HTTP: JSON for programs, one plain page for people."""
