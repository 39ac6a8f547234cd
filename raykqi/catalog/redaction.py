"""What stands for data and runs of other projects, where a project touches them.

The same one is always called the same in one project, and nobody can tell from that which one it is.
"""

from __future__ import annotations

from blake3 import blake3

__all__ = ["pseudonym"]

LENGTH = 10  # bytes


def pseudonym(workspace: str, project: str, id_: str) -> str:
    """How `project` calls a data or run that is not its own. It is no id, so nothing can be asked by it."""
    key = blake3(f"{workspace}/{project}".encode()).digest()
    return f"other-{blake3(id_.encode(), key=key).hexdigest(length=LENGTH)}"
