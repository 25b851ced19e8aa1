"""Floor devices on one side, the wire on the other: what a PLC says becomes messages, and diverts become orders."""
