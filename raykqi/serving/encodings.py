"""Packed bodies: gzip and deflate, unpacked up to a bound, and answers packed for those who want it."""

from __future__ import annotations

import zlib

from raykqi.errors import InvalidInput, TooLarge, UnknownMedia
from raykqi.serving.frames import Answered, Body

__all__ = ["packed", "unpacked"]

LEAST = 4096  # bytes of an answer below which packing costs more than it saves
ZLIB, RAW, GZIP = 15, -15, 31


def unpacked(body: Body, encoding: str, limit: int) -> Body:
    """The body of a request whose Content-Encoding is `encoding`; several are undone from the last to the first."""
    for name in reversed([each.strip().lower() for each in encoding.split(",")]):
        if name == "gzip":
            body = _inflated(body, GZIP, name, limit)
        elif name == "deflate":
            # Both the format with a head of its own and the bare one are called so.
            is_headed = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
            body = _inflated(body, ZLIB if is_headed else RAW, name, limit)
        elif name not in ("", "identity"):
            raise UnknownMedia(f"bodies packed as {name!r} are not understood", hint="Send gzip, deflate or neither.")
    return body


def packed(answer: Answered, accepted: str) -> Answered:
    """As the asker's Accept-Encoding allows. Tensors hardly shrink: they are packed for who wants nothing else."""
    if not accepted or len(answer.body) < LEAST or "content-encoding" in answer.headers:
        return answer
    names = _accepted(accepted)
    is_text = answer.headers.get("content-type", "").startswith(("application/json", "text/"))
    if not is_text and len(names) > 1:
        return answer
    name = next((each for each in names if each in ("gzip", "deflate")), None)
    if name is None:
        return answer
    packer = zlib.compressobj(1, zlib.DEFLATED, GZIP if name == "gzip" else ZLIB)
    body = packer.compress(answer.body) + packer.flush()
    return Answered(answer.status, answer.headers | {"content-encoding": name, "vary": "accept-encoding"}, body)


def _inflated(body: Body, kind: int, name: str, limit: int) -> bytes:
    inflater = zlib.decompressobj(kind)
    try:
        unpacked_body = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidInput(f"the body is not {name}: {error}") from None
    if len(unpacked_body) > limit:
        raise TooLarge(f"the body unpacks to more than {limit:,} bytes")
    if not inflater.eof:
        raise InvalidInput(f"the body ends in the middle of its {name}")
    if inflater.unused_data:
        raise InvalidInput(f"{len(inflater.unused_data)} bytes follow after the end of the {name} body")
    return unpacked_body


def _accepted(header: str) -> list[str]:
    names = []
    for each in header.lower().split(","):
        name, _, weight = each.partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            names.append(name.strip())
    return names
