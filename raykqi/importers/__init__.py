"""Plans as people describe them: plan files, decorated functions and templates become drafts. Reads, never stores."""
