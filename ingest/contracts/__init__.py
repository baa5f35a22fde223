"""Contracts: one file says what an event is; everything else follows from it."""
