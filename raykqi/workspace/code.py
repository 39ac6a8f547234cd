"""The code of a plan as data of the workspace: what is run later is exactly what was there when it was applied."""

from __future__ import annotations

from raykqi.catalog.plan_queries import code_with_tree
from raykqi.controller.uploading import Upload
from raykqi.controller.writer import Writer
from raykqi.domain.plan import Code
from raykqi.importers.code_folder import code_folder, code_title
from raykqi.importers.draft import Draft
from raykqi.opening import Parts

__all__ = ["capture_code"]


def capture_code(draft: Draft, parts: Parts, upload: Upload, project: str) -> Code | None:
    """Push what the draft names, unless data of the project with the same content is there already."""
    if not draft.source:
        return None
    with code_folder(draft) as (folder, source):
        tree = upload.store_only(folder)
        controller: Writer = parts.controller
        controller.refresh()
        data = parts.keeper.sound(lambda: code_with_tree(parts.keeper.index, tree.hash, project=project))
        if not data:
            data = upload.push_code(folder, code_title(draft, source)).id
    return Code(tree.hash, data, source)
