"""How good the forecasts are: formulas, inference and labels, as pure functions on arrays.

Error is forecast minus observation. Nothing here reads a store, a file or the clock.
"""
