"""Upkeep of a workspace: collect what nothing needs, check what is stored, snapshots, health."""
