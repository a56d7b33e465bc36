"""What survives when workers are killed, Redis restarts and the wire misbehaves."""
