"""Runs on Ray: the only room of the library that imports ray. It decides nothing, it carries out and reports."""
