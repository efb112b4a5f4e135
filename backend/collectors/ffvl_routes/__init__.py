"""The FFVL's routes: the keyed API and the pages of beacons."""
