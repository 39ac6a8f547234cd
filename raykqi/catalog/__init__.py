"""The index: tags, data, runs and lineage in DuckDB. Disposable: journal and snapshots rebuild it."""
