"""Runner: executes runs against their targets."""
