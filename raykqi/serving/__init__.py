"""From the files of a model to answers: find it, load it, check what is asked of it, run it.

Knows nothing of workspaces, Ray or HTTP servers. Nothing heavy is imported before a model needs it.
"""
