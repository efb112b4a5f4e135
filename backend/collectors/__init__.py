"""The sources. What models say, and what beacons measure."""
