"""The body of a plain request, by its media type: JSON, arrays of numpy, an image, a file, or a form with one."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import msgspec
import numpy as np

from raykqi.errors import InvalidInput, TooLarge
from raykqi.serving.frames import Body

__all__ = ["Upload", "arrays_of", "json_of", "media_type", "read_body"]

ARRAYS = ("application/x-npy", "application/x-npz", "application/npy", "application/npz", "application/x-numpy")
IMAGES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
NPY, ZIP = b"\x93NUMPY", b"PK"


class Upload(NamedTuple):
    """A file as it was sent: what a user's class gets for a body that is neither JSON nor arrays."""

    content: bytes
    content_type: str
    name: str = ""


def media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def read_body(content_type: str, body: Body) -> Any:
    """What JSON held, else an `Upload`. A body without a type is JSON when it reads as such."""
    kind = media_type(content_type)
    if kind == "multipart/form-data":
        return _of_form(content_type, bytes(body))
    if kind == "application/json" or kind.endswith("+json"):
        return json_of(body)
    if kind in ("", "application/x-www-form-urlencoded", "text/plain"):  # what clients say without being told
        try:
            return json_of(body)
        except InvalidInput:
            if kind != "text/plain" and not body:
                raise
        if kind != "text/plain" and (seen := _image_type(body)):
            kind = seen
    return Upload(bytes(body), kind or "application/octet-stream")


def _image_type(body: Body) -> str:
    """By how it begins: curl calls a file a form unless it is told otherwise."""
    head = bytes(body[:12])
    if head.startswith(b"RIFF") and head.endswith(b"WEBP"):
        return "image/webp"
    return next((kind for begin, kind in IMAGES.items() if head.startswith(begin)), "")


def json_of(body: Body) -> Any:
    if not body:
        raise InvalidInput("the body is empty", hint="Send JSON, an image or a file.")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise InvalidInput("the JSON of the body is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None


def arrays_of(upload: Upload, limit: int) -> Any:
    """An array, or a dict of arrays by name; None for what is no file of numpy."""
    from zipfile import BadZipFile

    content = upload.content
    is_archive = content.startswith(ZIP) and (upload.content_type in ARRAYS or upload.name.endswith(".npz"))
    if not (content.startswith(NPY) or is_archive):
        return None
    if is_archive:
        _check_unpacked(content, limit)
    try:
        loaded = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, KeyError, BadZipFile, NotImplementedError, MemoryError) as error:
        raise InvalidInput(f"the arrays cannot be read: {error}") from None


def _check_unpacked(content: bytes, limit: int) -> None:
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(io.BytesIO(content)) as archive:
            size = sum(each.file_size for each in archive.infolist())
    except BadZipFile as error:
        raise InvalidInput(f"the arrays cannot be read: {error}") from None
    if size > limit:
        raise TooLarge(f"the arrays unpack to {size:,} bytes, and {limit:,} are allowed")


def _of_form(content_type: str, body: bytes) -> Any:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import File, FormParser, parse_options_header

    files: list[Upload] = []
    _, options = parse_options_header(content_type)
    if not options.get(b"boundary"):
        raise InvalidInput("the form has no boundary", hint="Send multipart/form-data as an HTTP client makes it.")

    def keep(file: File) -> None:
        file.file_object.seek(0)
        name = (file.file_name or b"").decode(errors="replace")
        files.append(Upload(file.file_object.read(), media_type(file.content_type or ""), name))
        file.close()

    try:
        parser = FormParser(
            "multipart/form-data",
            lambda _: None,
            keep,
            boundary=options[b"boundary"],
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InvalidInput(f"the form cannot be read: {error}") from None
    if len(files) != 1:
        raise InvalidInput(f"the form holds {len(files)} files", hint="Send one file, in any field.")
    upload = files[0]
    if upload.content_type == "application/json":
        return json_of(upload.content)
    return upload._replace(content_type=upload.content_type or "application/octet-stream")
