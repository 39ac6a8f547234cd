"""The journal, on real stores: a folder and memory."""
