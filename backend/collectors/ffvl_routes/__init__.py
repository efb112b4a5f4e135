"""The FFVL's routes: the keyed API, the pages of beacons, winds.mobi."""
