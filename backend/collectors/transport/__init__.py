"""Requests, their limits, the bodies that come back, and the archive of payloads."""
