"""Bytes in and out: streams into a staged tree, and stored trees into streams. Knows no routes."""
