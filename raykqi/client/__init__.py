"""The verbs of a workspace over HTTP, for those who are not where its store is."""

from raykqi.client.remote import RemoteWorkspace

__all__ = ["RemoteWorkspace"]
