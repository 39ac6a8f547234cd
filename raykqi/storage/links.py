"""Where the symbolic links of a tree lead, whatever detour they take through each other."""

from __future__ import annotations

from collections.abc import Callable

from raykqi.errors import UnsafePath
from raykqi.storage.trees import Entry, Tree

__all__ = ["EndlessLink", "OutsideLink", "check_links", "follow_links"]

DETOURS = 40  # links followed for one path before the kernel, too, gives up


class OutsideLink(Exception):
    """The path leaves the tree; `link` is the one that leads out, `target` where to."""

    def __init__(self, link: str, target: str) -> None:
        super().__init__(link, target)
        self.link, self.target = link, target


class EndlessLink(Exception):
    """The path goes through more links than a file system follows."""


def check_links(tree: Tree, wanted: list[Entry]) -> None:
    """`UnsafePath` for the first wanted link that is absolute or leads out of the tree."""
    links = [entry for entry in wanted if entry.kind == "link"]
    if not links:
        return
    targets = {entry.path: entry.object for entry in tree if entry.kind == "link"}
    for link in links:
        try:
            follow_links(link.path, targets.get)
        except OutsideLink as outside:
            raise UnsafePath(
                f"the link {link.path!r} leads to {link.object!r}, outside of its tree",
                hint="Pull the other files by a pattern, or, if you trust this data, give --allow-unsafe-links "
                "(in Python: allow_unsafe_links=True).",
            ) from outside
        except EndlessLink:
            continue  # it leads nowhere, so not out either


def follow_links(path: str, target_of: Callable[[str], str | None]) -> str:
    """Where the path ends; `target_of` tells what the link at a path points to, None where no link is.

    Walks as the kernel would: a link is replaced by its target, `..` goes up from where that led.
    """
    at: list[str] = []
    ahead = path.split("/")[::-1]
    detours, link, led_to = 0, path, path
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                raise OutsideLink(link, led_to)
            at.pop()
            continue
        at.append(part)
        target = target_of("/".join(at))
        if target is None:
            continue
        link, led_to = "/".join(at), target
        if target.startswith("/"):
            raise OutsideLink(link, target)
        detours += 1
        if detours > DETOURS:
            raise EndlessLink(path)
        at.pop()
        ahead += target.split("/")[::-1]
    return "/".join(at)
