"""The forecast that is learned from all models: experts, their combination, its interval and its gate."""
