"""Packages of npm that tests need."""
