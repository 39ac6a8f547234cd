"""`source`: where a plan's code comes from, a folder or a place in a git repository."""

from __future__ import annotations

import re
from pathlib import Path

from raykqi.importers.field import Field
from raykqi.importers.places import quote

__all__ = ["read_source"]

SCHEMES = ("https", "ssh", "file", "http")
_GIT = re.compile(r"git\+(?P<scheme>[a-z]+)://(?P<place>[^#\s]+)(#(?P<subfolder>[^#\s]*))?\Z")
_PLAIN_GIT = re.compile(r"(https?|ssh|git)://|[\w.-]+@[\w.-]+:")
EXAMPLE = "git+https://example.org/team/repo.git@v1.2#training"


def read_source(field: Field, folder: Path | None) -> str:
    """An absolute folder, or `git+…://…@ref#subfolder`; `folder` is where relative ones count from."""
    text = field.text(what="source")
    if text.startswith("git+"):
        return _git(field, text)
    if _PLAIN_GIT.match(text):
        field.refuse(f"{quote(text)} is neither a folder nor git+…", hint=f"Write git sources as {EXAMPLE}.")
    if folder is None and not text.startswith(("/", "~")):
        field.refuse(f"nobody knows where {quote(text)} counts from", hint="Give an absolute path.")
    try:
        path = ((folder or Path("/")) / Path(text).expanduser()).resolve()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        field.refuse(f"{quote(text)} cannot be looked at: {reason}", hint="Name a folder.")
    if not is_folder:
        hint = "Name the folder that the file is in." if is_file else "Name a folder that is there."
        field.refuse(f"{quote(str(path))} is no folder", hint=hint)
    return str(path)


def _git(field: Field, text: str) -> str:
    found = _GIT.match(text)
    if not found or found["scheme"] not in SCHEMES or found["place"].rpartition("@")[2].startswith("-"):
        field.refuse(f"{quote(text)} is no git source", hint=f"Write it as {EXAMPLE}.")
    user = found["place"].split("/")[0].rpartition("@")[0]
    if ":" in user or (user and found["scheme"].startswith("http")):
        field.refuse(
            "a git source with a name or password in it would be kept with the plan for ever",
            hint="Remove it and let git ask its credential helper.",
        )
    if ".." in (found["subfolder"] or "").split("/") or (found["subfolder"] or "").startswith("/"):
        field.refuse(f"the subfolder {quote(found['subfolder'])} leaves the repository", hint="Name one inside it.")
    return text
