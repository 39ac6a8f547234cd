"""The journal: append, read, fence. Entries are opaque lists of events; folding them is the catalog's work."""
