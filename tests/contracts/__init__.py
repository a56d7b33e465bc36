"""Tests of the Solidity contracts, against a real chain."""
