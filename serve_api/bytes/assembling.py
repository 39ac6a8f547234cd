"""What came in pieces, put together in a staged tree and held against what its sender declares."""

from __future__ import annotations

from blake3 import blake3

from raykqi.domain.transfer import DeclaredFile, UploadCommit, UploadSession
from raykqi.errors import Conflict, UploadGap
from raykqi.storage.uploads import Uploads
from serve_api.bytes.staged_tree import StagedTree

__all__ = ["assemble"]


def assemble(uploads: Uploads, session: UploadSession, wanted: UploadCommit, tree: StagedTree) -> None:
    for folder in wanted.folders:
        tree.add_folder(folder.path, folder.mode)
    for file in _files(uploads, session, wanted):
        _take(uploads, session, file, tree)
    for link in wanted.links:
        tree.add_link(link.path, link.target)
    tree.finish()


def _files(uploads: Uploads, session: UploadSession, wanted: UploadCommit) -> tuple[DeclaredFile, ...]:
    if wanted.files is not None:
        return wanted.files
    state = uploads.state(session)
    if gap := next((file for file in state.files if file.beyond), None):
        raise UploadGap(
            f"{gap.path!r} lacks bytes between {gap.size} and {gap.beyond[0].offset}",
            expected=gap.size,
            hint=f"Go on at offset {gap.size}.",
        )
    return tuple(DeclaredFile(file.path, file.size) for file in state.files)


def _take(uploads: Uploads, session: UploadSession, file: DeclaredFile, tree: StagedTree) -> None:
    hasher = blake3()
    size = 0
    tree.begin_file(file.path, file.mode, file.size)
    for piece in uploads.read(session, file.path):
        hasher.update(piece)
        size += len(piece)
        tree.write(piece)
    tree.end_file()
    if size < file.size:
        raise UploadGap(
            f"of {file.path!r} {size} of {file.size} bytes have come", expected=size, hint=f"Go on at offset {size}."
        )
    if size > file.size or (file.hash and hasher.hexdigest() != file.hash.lower()):
        raise Conflict(
            f"{file.path!r} came with {size} bytes of hash {hasher.hexdigest()}, not as it was declared",
            hint="Send that file again in a new upload.",
        )
