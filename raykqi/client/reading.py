"""One file's bytes from the server, taken up again where a connection broke, and verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpx
from blake3 import blake3

from raykqi.client.listing import file_path
from raykqi.client.patience import Patience
from raykqi.client.transport import PIECE, Params, Transport
from raykqi.errors import Damaged, NotFound, ServerUnavailable

__all__ = ["open_file", "read_on"]


def open_file(transport: Transport, data: str, path: str) -> Iterator[bytes]:
    """Errors of the path show at once. The last piece is held back until the whole is verified."""
    asked = path.removeprefix("./").rstrip("/")
    if any(part in ("", ".", "..") for part in asked.split("/")):
        raise NotFound(f"the data has no {path!r}", hint="List what is there with `raykqi data ls`.")
    expected: list[str] = []
    pieces = read_on(
        transport,
        file_path(data, asked),
        opened=lambda response: expected.append(
            response.headers.get("ETag", "").strip('"')
        ),  # which is the hash of the file
    )
    first = next(pieces, b"")
    return _verified(first, pieces, path, expected)


def read_on(
    transport: Transport,
    path: str,
    params: Params = (),
    *,
    opened: Callable[[httpx.Response], None] = lambda _: None,
    place: str = "",
    headers: Mapping[str, str] | None = None,
) -> Iterator[bytes]:
    """All bytes, over as many connections as it takes: asked for by ranges, or by a parameter `place`."""
    at = 0
    patience = Patience(transport.timeout)
    while True:
        own = dict(headers or {})
        asked = list(params)
        if at and place:
            asked.append((place, at))
        elif at:
            own["Range"] = f"bytes={at}-"
        try:
            with transport.stream(path, params=asked, headers=own) as response:
                opened(response)
                is_rest = bool(place) or response.status_code == httpx.codes.PARTIAL_CONTENT
                skip = 0 if is_rest else at
                for piece in response.iter_bytes(PIECE):
                    rest = piece[skip:]
                    skip -= len(piece) - len(rest)
                    at += len(rest)
                    patience = Patience(transport.timeout)
                    if rest:
                        yield rest
        except ServerUnavailable:
            pause = patience.next(0.0, None)
            if pause is None or transport.is_closed:
                raise
            transport.pause(pause)
        else:
            return


def _verified(first: bytes, pieces: Iterator[bytes], path: str, expected: list[str]) -> Iterator[bytes]:
    hasher = blake3(first)
    held = first
    for piece in pieces:
        hasher.update(piece)
        yield held
        held = piece
    if expected[0] and hasher.hexdigest() != expected[0]:
        raise Damaged(f"the bytes of {path!r} are not what was stored", hint="Ask for it again; then `raykqi fsck`.")
    if held:
        yield held
