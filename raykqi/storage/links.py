"""Whether the symbolic links of a tree stay inside of it, whatever detour they take through each other."""

from __future__ import annotations

from raykqi.errors import UnsafePath
from raykqi.storage.trees import Entry, Tree

__all__ = ["check_links"]

DETOURS = 40  # links followed for one path before the kernel, too, gives up


def check_links(tree: Tree, wanted: list[Entry]) -> None:
    """`UnsafePath` for the first wanted link that is absolute or leads out of the tree."""
    links = [entry for entry in wanted if entry.kind == "link"]
    if not links:
        return
    targets = {entry.path: entry.object for entry in tree if entry.kind == "link"}
    for link in links:
        if _leaves(link.path, targets):
            raise UnsafePath(
                f"the link {link.path!r} leads to {link.object!r}, outside of its tree",
                hint="Pull the other files by a pattern, or allow unsafe links if you trust this data.",
            )


def _leaves(path: str, targets: dict[str, str]) -> bool:
    """Walk as the kernel would: a link is replaced by its target, `..` goes up from where that led."""
    at: list[str] = []
    ahead = path.split("/")[::-1]
    detours = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                return True
            at.pop()
            continue
        at.append(part)
        target = targets.get("/".join(at))
        if target is None:
            continue
        detours += 1
        if target.startswith("/"):
            return True
        if detours > DETOURS:
            return False
        at.pop()
        ahead += target.split("/")[::-1]
    return False
