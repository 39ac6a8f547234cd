"""Archives and forms as tests make them: sound ones, and such as nobody should send."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.receiving import Receiver
from serve_api.bytes.staged_tree import StagedTree

__all__ = ["LIMITS", "feed", "form", "listing", "member", "staged", "tar"]

MIB = 1 << 20
LIMITS = UploadLimits(bytes=64 * MIB, entries=1_000, ratio=20, free=MIB, reserve=0)
END = bytes(1024)


def member(
    path: str, content: bytes = b"", *, kind: bytes = tarfile.REGTYPE, to: str = "", mode: int = 0o644, size: int = -1
) -> bytes:
    """One member with its bytes; `size` is what its header says of them."""
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode = kind, to, mode
    info.size = len(content) if size < 0 else size
    header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return header + content + bytes(-len(content) % 512)


def tar(*members: bytes) -> bytes:
    return b"".join(members) + END


def form(*parts: tuple[str, bytes], boundary: bytes = b"xxBOUNDARYxx") -> bytes:
    """Each part is its headers and its content."""
    made = io.BytesIO()
    for headers, content in parts:
        made.write(b"--" + boundary + b"\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n")
    made.write(b"--" + boundary + b"--\r\n")
    return made.getvalue()


def staged(folder: Path, limits: UploadLimits = LIMITS) -> StagedTree:
    folder.mkdir(parents=True, exist_ok=True)
    return StagedTree(folder, limits)


def feed(receiver: Receiver, body: bytes, step: int = 1 << 16) -> None:
    for at in range(0, len(body), step):
        receiver.feed(body[at : at + step])
    receiver.finish()


def listing(folder: Path) -> dict[str, str]:
    """What lies there: path → mode and content, target, or nothing."""
    return dict(sorted(_listed(folder)))


def _listed(folder: Path) -> Iterator[tuple[str, str]]:
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        mode = f"{path.lstat().st_mode & 0o7777:o}"
        if path.is_symlink():
            yield name, f"-> {path.readlink()}"
        elif path.is_dir():
            yield name, f"dir {mode}"
        else:
            yield name, f"{mode} {path.read_bytes()[:40].decode(errors='replace')}"
