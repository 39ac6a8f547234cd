"""What every store does with large objects, streams and files: whole or not at all, in bounded memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from raykqi.storage.filesystem import Store

MIB = 1 << 20
LARGE = random.Random(7).randbytes(MIB) * 40  # S3 stores send more than 32 MiB in parts


class Interrupted(Exception):
    """What a source raises."""


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], b""),
        ([b""], b""),
        ([b"", b"a", b"", b"bc", b""], b"abc"),
        ([b"x" * 100] * 1000, b"x" * 100_000),
    ],
    ids=["none", "empty", "with empty ones", "many small"],
)
def test_a_stream_is_written_as_one_object(store: Store, parts: list[bytes], whole: bytes) -> None:
    assert store.put_stream("a/b", iter(parts)) == len(whole)

    assert store.get("a/b") == whole


def test_large_bytes_come_back(store: Store) -> None:
    store.put("large", LARGE)

    assert store.info("large").size == 40 * MIB
    assert store.get("large") == LARGE
    assert store.get("large", 39 * MIB - 3) == LARGE[39 * MIB - 3 :]


def test_a_large_stream_comes_back(store: Store) -> None:
    odd = 3 * MIB + 7

    size = store.put_stream("large", (LARGE[at : at + odd] for at in range(0, len(LARGE), odd)))

    assert size == 40 * MIB
    assert b"".join(store.read("large")) == LARGE


def test_a_large_file_comes_back(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "large file"
    source.write_bytes(LARGE)

    store.put_file("large", source)

    assert b"".join(store.read("large", chunk=5 * MIB)) == LARGE


@pytest.mark.parametrize("data", [b"", b"small"])
def test_a_small_file_comes_back(store: Store, tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "file"
    source.write_bytes(data)

    store.put_file("a/b", source)
    source.write_bytes(b"changed later")

    assert store.get("a/b") == data


def test_a_file_that_is_not_there_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        store.put_file("a/b", tmp_path / "no such file")

    assert not store.exists("a/b")


@pytest.mark.parametrize("size", [0, 100, 20 * MIB, 40 * MIB])
@pytest.mark.parametrize("before", [None, b"what was there"], ids=["new", "existing"])
def test_a_stream_that_fails_leaves_everything_as_it_was(store: Store, size: int, before: bytes | None) -> None:
    if before is not None:
        store.put("a/b", before)

    def parts() -> Iterator[bytes]:
        for at in range(0, size, MIB):
            yield LARGE[at : min(at + MIB, size)]
        raise Interrupted

    with pytest.raises(Interrupted):
        store.put_stream("a/b", parts())

    assert [found.key for found in store.list("")] == ([] if before is None else ["a/b"])
    assert (store.get("a/b") if store.exists("a/b") else None) == before


def test_large_objects_are_read_in_bounded_memory(store: Store) -> None:
    if store.url.startswith("memory:"):
        pytest.skip("memory is where its objects are")
    store.put("large", LARGE)

    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in store.read("large", chunk=MIB))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert size == 40 * MIB
    assert peak < 30 * MIB


def test_a_reader_may_stop_early(store: Store) -> None:
    store.put("large", LARGE)
    chunks = store.read("large", 5, chunk=100)

    assert next(chunks) == LARGE[5:105]
    assert next(chunks) == LARGE[105:205]
    del chunks
    assert store.get("large", 0, 3) == LARGE[:3]
