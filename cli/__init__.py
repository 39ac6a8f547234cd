"""The command line: each command parses, calls the workspace once, prints."""
