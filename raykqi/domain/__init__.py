"""Values and rules: ids, tags, data, events, lineage. No I/O, no imports from other rooms."""
