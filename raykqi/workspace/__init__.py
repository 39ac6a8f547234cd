"""The workspace: every verb that scripts, the command line and the API share."""

from raykqi.workspace.workspace import Workspace

__all__ = ["Workspace"]
