"""Small files out of one object: each compared with its hash, then written. Also as a process of its own.

A pull from a remote store downloads in one process and writes files in others, which take jobs from
standard input: within one interpreter, each of a hundred thousand system calls would wait for the
thread that downloads. Imports are few, so that such a process starts at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import BinaryIO, NamedTuple

import msgspec
from blake3 import blake3

__all__ = ["FILE_FLAGS", "Answer", "Job", "Member", "read_frame", "serve", "write_file", "write_frame", "write_members"]

FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Member(NamedTuple):
    path: str
    mode: int
    size: int
    hash: str
    begin: int  # relative to the range of the job


class Job(msgspec.Struct, frozen=True):
    """Take the range from the file `object` and write its members."""

    object: str
    start: int
    size: int
    members: list[Member]


class Answer(msgspec.Struct, frozen=True):
    """What went wrong, if anything did."""

    damaged: str = ""  # path of the first member whose bytes are wrong
    gone: bool = False  # the object is not there, or too short
    errno: int = 0
    path: str = ""


def write_members(folder: int, umask: int, content: memoryview, members: Sequence[Member]) -> str:
    """Write files below an open folder; returns the path of the first that is damaged, if one is."""
    for path, mode, size, digest, begin in members:
        data = content[begin : begin + size]
        if blake3(data).hexdigest() != digest:
            return path
        write_file(folder, umask, path, mode, data)
    return ""


def write_file(folder: int, umask: int, path: str, mode: int, data: bytes | memoryview) -> None:
    file = os.open(path, FILE_FLAGS, mode, dir_fd=folder)
    try:
        rest = memoryview(data)
        while rest and (written := os.write(file, rest)) != len(rest):
            rest = rest[written:]
        if mode & (umask | 0o1000):
            os.fchmod(file, mode)
    finally:
        os.close(file)


def serve(target: str, umask: int) -> None:
    """Do jobs until the other side closes."""
    folder = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    memory = memoryview(bytearray())
    while frame := read_frame(sys.stdin.buffer):
        job = msgspec.msgpack.decode(frame, type=Job)
        if len(memory) < job.size:
            memory = memoryview(bytearray(job.size))
        write_frame(sys.stdout.buffer, msgspec.msgpack.encode(_do(job, folder, umask, memory[: job.size])))


def _do(job: Job, folder: int, umask: int, memory: memoryview) -> Answer:
    try:
        file = os.open(job.object, os.O_RDONLY)
    except OSError:
        return Answer(gone=True)
    try:
        if os.preadv(file, [memory], job.start) != job.size:
            return Answer(gone=True)
        return Answer(damaged=write_members(folder, umask, memory, job.members))
    except OSError as error:
        return Answer(errno=error.errno or 5, path=str(error.filename or ""))
    finally:
        os.close(file)


def read_frame(stream: BinaryIO) -> bytes:
    """Nothing at the end of the stream, or when it ends in the middle."""
    size = int.from_bytes(stream.read(8), "little")
    frame = stream.read(size)
    return frame if len(frame) == size else b""


def write_frame(stream: BinaryIO, frame: bytes) -> None:
    stream.write(len(frame).to_bytes(8, "little") + frame)
    stream.flush()
