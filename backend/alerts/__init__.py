"""Messages to the operator when the state of the service changes, and pings for a watch from outside."""
