"""A plant that is not there: a day of parcels, belts, a PLC, scanners, and an oracle that judges."""
