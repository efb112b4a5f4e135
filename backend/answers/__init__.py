"""What the API, the command line and the exports ask about scores, models and the state of the service."""
