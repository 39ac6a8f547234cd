"""Decisions: pure functions that take commands and rows, and answer events or an error."""
