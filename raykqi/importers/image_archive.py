"""What an image archive says that its image runs: `docker save` and OCI layouts, as tar or tar.gz.

Only the few small JSON members are read, block by block and within fixed bounds, so that neither a huge
layer nor a made-up header takes memory. Long names (pax, GNU) are passed over: no such member has one.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn, cast

import msgspec

from raykqi.errors import InvalidInput, NotFound

__all__ = ["ImageFacts", "read_image_archive"]

BLOCK = 512
LARGEST_JSON = 2**20
MOST_KEPT = 64 * 2**20
MOST_MEMBERS = 100_000
MOST_BYTES = 2**40
SKIP = 2**20
INDEX_TYPES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
NAMES = ("org.opencontainers.image.ref.name", "io.containerd.image.name")


class ImageFacts(msgspec.Struct, frozen=True):
    """`name` is "" when the archive does not tell it."""

    name: str
    entrypoint: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()


def read_image_archive(file: BinaryIO, source: str, *, name: str = "") -> ImageFacts:
    """The image called `name`, or the only one."""
    archive = _Archive(file, source)
    images = archive.docker_images() or archive.oci_images()
    if not images:
        _refuse(source, "it holds no image", "Make one with `docker save IMAGE:TAG -o FILE`.")
    chosen = {title: facts for title, facts in images.items() if title == name} if name else images
    if not chosen and len(images) == 1:
        chosen = images  # the archive knows it by another name
    if not chosen:
        raise NotFound(f"{source}: it holds no image {name!r}", hint=f"It holds {', '.join(sorted(images))}.")
    if len(chosen) > 1:
        _refuse(source, f"it holds {len(images)} images", f"Name one: {', '.join(sorted(images))}.")
    return msgspec.structs.replace(next(iter(chosen.values())), name=name or next(iter(chosen)))


class _Archive:
    def __init__(self, file: BinaryIO, source: str) -> None:
        self._source = source
        self._members = dict(_small_members(_unpacked(file), source))

    def docker_images(self) -> dict[str, ImageFacts]:
        if "manifest.json" not in self._members:
            return {}
        images = {}
        for entry in self._read("manifest.json", list):
            tags = entry.get("RepoTags") if isinstance(entry, dict) else None
            config = self._config(entry.get("Config") if isinstance(entry, dict) else None)
            for title in tags if isinstance(tags, list) and tags else [""]:
                images[str(title)] = config
        return images

    def oci_images(self) -> dict[str, ImageFacts]:
        if "index.json" not in self._members:
            return {}
        return dict(self._indexed(self._read("index.json", dict), 0))

    def _indexed(self, index: dict[str, Any], depth: int) -> Iterator[tuple[str, ImageFacts]]:
        manifests = index.get("manifests")
        for entry in manifests if isinstance(manifests, list) else []:
            if not isinstance(entry, dict):
                continue
            told = _map(entry.get("annotations"))
            if "vnd.docker.reference.type" in told:
                continue  # a signature or a bill of materials
            title = next((str(told[key]) for key in reversed(NAMES) if key in told), "")
            manifest = self._read(_blob(entry.get("digest")), dict)
            if entry.get("mediaType") in INDEX_TYPES and depth < 3:
                for below, facts in self._indexed(manifest, depth + 1):
                    yield below or title, facts
            else:
                yield title, self._config(_blob(_map(manifest.get("config")).get("digest")))

    def _config(self, member: object) -> ImageFacts:
        found = self._read(str(member), dict)
        config = _map(found.get("config") or found.get("container_config"))
        return ImageFacts(
            "",
            _words(config.get("Entrypoint")),
            _words(config.get("Cmd")),
            tuple(sorted(str(path) for path in _map(config.get("Volumes")))),
        )

    def _read(self, member: str, kind: type) -> Any:
        if member not in self._members:
            _refuse(self._source, f"{member!r} is missing in it, or too large", "Save the image again, whole.")
        try:
            value = json.loads(self._members[member])
        except (ValueError, RecursionError):
            _refuse(self._source, f"{member!r} in it is not JSON", "Save the image again.")
        if not isinstance(value, kind):
            _refuse(self._source, f"{member!r} in it is not what an image has there", "Save the image again.")
        return value


def _unpacked(file: BinaryIO) -> BinaryIO:
    head = file.peek(2)[:2] if hasattr(file, "peek") else b""
    return cast(BinaryIO, gzip.GzipFile(fileobj=file)) if head == b"\x1f\x8b" else file


def _small_members(file: BinaryIO, source: str) -> Iterator[tuple[str, bytes]]:
    kept = passed = 0
    try:
        for _ in range(MOST_MEMBERS):
            header = file.read(BLOCK)
            if len(header) < BLOCK or not header.strip(b"\0"):
                if not passed and len(header) < BLOCK:
                    _refuse(source, "it is no tar archive", "Make one with `docker save IMAGE:TAG -o FILE`.")
                return
            name, size = _name_and_size(header, source)
            passed += size + BLOCK
            if passed > MOST_BYTES:
                _refuse(source, "it claims to hold more than 1 TiB", "Save the image again.")
            padded = -(-size // BLOCK) * BLOCK
            if _is_wanted(name) and size <= LARGEST_JSON and kept + size <= MOST_KEPT:
                kept += size
                yield name, file.read(padded)[:size]
            else:
                _skip(file, padded, source)
        _refuse(source, f"it has more than {MOST_MEMBERS:,} members", "Save one image a file.")
    except (OSError, EOFError, zlib.error) as error:
        _refuse(source, f"it cannot be read: {error}", "Save the image again.")


def _name_and_size(header: bytes, source: str) -> tuple[str, int]:
    told = header[148:156].strip(b" \0")
    plain = header[:148] + b" " * 8 + header[156:]
    try:
        if int(told, 8) != sum(plain):
            raise ValueError  # noqa: TRY301
        field = header[124:136]
        size = int.from_bytes(field[1:], "big") if field[0] & 0x80 else int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        _refuse(source, "it is no tar archive", "Make one with `docker save IMAGE:TAG -o FILE`.")
    if size < 0:
        _refuse(source, "it is no tar archive", "Make one with `docker save IMAGE:TAG -o FILE`.")
    prefix = header[345:500].rstrip(b"\0") if header[257:262] == b"ustar" and header[263:265] == b"00" else b""
    name = header[:100].partition(b"\0")[0]
    full = b"/".join(part for part in (prefix, name) if part).decode("utf-8", "replace")
    return full.removeprefix("./"), size if header[156:157] not in (b"1", b"2", b"5") else 0


def _skip(file: BinaryIO, size: int, source: str) -> None:
    left = size
    while left:
        piece = len(file.read(min(SKIP, left)))
        if not piece:
            _refuse(source, "it ends in the middle", "Save or copy it again, whole.")
        left -= piece


def _is_wanted(name: str) -> bool:
    return name.endswith(".json") or name.startswith("blobs/")


def _blob(digest: object) -> str:
    return "blobs/" + str(digest).replace(":", "/", 1)


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(word) for word in value) if isinstance(value, list) else ()


def _refuse(source: str, message: str, hint: str) -> NoReturn:
    raise InvalidInput(f"{source}: {message}", hint=hint)
