"""The one writer of a workspace: commands in, events into the journal, the catalog kept up. Knows no Ray."""
