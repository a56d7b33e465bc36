"""Measurements on a chain and a Redis of one's own; `autometa bench` shows them."""
