"""Autometa: on-chain workflow automation, every due occurrence executed exactly once."""

__version__ = "0.1.0"
