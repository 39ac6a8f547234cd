"""A draft that came from anywhere, held to the same rules as a plan file."""

from __future__ import annotations

import msgspec

from raykqi.importers.building import build
from raykqi.importers.description import describe
from raykqi.importers.draft import Draft
from raykqi.importers.places import Places

__all__ = ["checked"]


def checked(draft: Draft) -> Draft:
    """The draft with clean paths, names for all and sets in order. What breaks a rule is refused."""
    origin, source = draft.origin, draft.source
    again = build(
        describe(draft.definition, draft.settings),
        Places(origin),
        origin=origin,
        source=source,
        source_files=draft.source_files,
    )
    definition = msgspec.structs.replace(again.definition, code=draft.definition.code)
    return msgspec.structs.replace(again, definition=definition, warnings=draft.warnings)
