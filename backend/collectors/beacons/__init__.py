"""What the beacon networks share: readings and the gaps between them."""
