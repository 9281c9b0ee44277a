"""How fast the suite is on this machine: figures to compare with the aims, and with those of another day. Nothing is asserted."""
