"""From what had arrived at a decision to the forecasts that are issued: inputs, learning, and the gate."""
