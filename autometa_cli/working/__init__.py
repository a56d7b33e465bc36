"""The parts of a worker: what it does with one job, and whether its own house is in order."""
