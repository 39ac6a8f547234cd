"""Whatever bytes come: a correct tree or a 4xx, nothing outside of the staging folder, and it is gone afterwards."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from raykqi.errors import RaykqiError
from serve_api.bytes.gunzip import Archive
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.multipart import Multipart
from serve_api.bytes.staging import StagingArea
from serve_api.bytes.untar import Untar
from tests.examples import examples
from tests.unit.serve_api.archives import feed, form, listing, member, tar

MIB = 1 << 20
LIMITS = UploadLimits(bytes=2 * MIB, entries=20, ratio=10, free=MIB, reserve=0)
BOUNDARY = b"xxBOUNDARYxx"

names = st.sampled_from(["a", "b", "a/b", "./a", "../a", "/a", "a/../b", "..", ".", "", "紅葉/一枚", "a/b/c", "a\\b"])
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, b"x", b"g", b"L", b"6"])
members = st.builds(
    lambda path, content, kind, to, mode, size: member(path, content, kind=kind, to=to, mode=mode, size=size),
    names,
    st.binary(max_size=1_500),
    kinds,
    names,
    st.integers(0, 0o7777),
    st.sampled_from([-1, -1, -1, 0, 1, 511, 513, 8**11 - 1]),
)
cuts = st.tuples(st.integers(0, 10_000), st.binary(max_size=3), st.integers(0, 600))


def mutated(body: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    """Bytes replaced, taken out or put in at random places."""
    for at, new, removed in changes:
        at %= len(body) + 1
        body = body[:at] + new + body[at + removed :]
    return body


def outcome(body: bytes, step: int, *, as_form: bool) -> dict[str, str] | RaykqiError:
    """What became of a body; everything else that may not happen is looked for here."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "beside").write_bytes(b"untouched")
        area = StagingArea(Path(place) / "staging", LIMITS)
        found: dict[str, str] | RaykqiError
        try:
            with area.tree() as tree:
                feed(Multipart(tree, BOUNDARY) if as_form else Archive(Untar(tree), LIMITS), body, step)
                found = listing(tree.folder)
                assert tree.size <= LIMITS.bytes
                assert len(tree) <= LIMITS.entries
                for path in tree.folder.rglob("*"):
                    assert path.resolve().is_relative_to(tree.folder.resolve()) or not path.exists()
        except RaykqiError as error:
            found = error
        if isinstance(found, RaykqiError):
            assert 400 <= found.status < 500, found
            assert found.message
        assert list((Path(place) / "staging").iterdir()) == []
        assert sorted(path.name for path in Path(place).iterdir()) == ["beside", "staging"]
        return found


@settings(max_examples=examples(100))
@given(st.lists(members, max_size=6), st.lists(cuts, max_size=3), st.sampled_from([1_000, 65_536]), st.booleans())
def test_any_archive_is_taken_right_or_refused(
    made: list[bytes], changes: list[tuple[int, bytes, int]], step: int, packed: bool
) -> None:
    body = mutated(tar(*made), changes)

    outcome(gzip.compress(body, 1) if packed else body, step, as_form=False)


@settings(max_examples=examples(50))
@given(st.binary(max_size=4_000), st.booleans())
def test_any_bytes_are_taken_right_or_refused(body: bytes, as_form: bool) -> None:
    outcome(body, 700, as_form=as_form)


@settings(max_examples=examples(50))
@given(st.lists(cuts, min_size=1, max_size=4))
def test_a_damaged_gzip_is_taken_right_or_refused(changes: list[tuple[int, bytes, int]]) -> None:
    outcome(mutated(gzip.compress(tar(member("a", bytes(3_000)), member("b", b"x"))), changes), 100, as_form=False)


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(names, st.binary(max_size=500)), max_size=4), st.lists(cuts, max_size=3))
def test_any_form_is_taken_right_or_refused(
    files: list[tuple[str, bytes]], changes: list[tuple[int, bytes, int]]
) -> None:
    parts = [(f'Content-Disposition: form-data; name="files"; filename="{path}"', content) for path, content in files]

    outcome(mutated(form(*parts), changes), 333, as_form=True)


@given(st.dictionaries(st.sampled_from(["a", "b", "c/d", "紅葉/一枚", "x y"]), st.binary(max_size=3_000), max_size=5))
def test_a_sound_archive_and_a_sound_form_are_the_same_tree(files: dict[str, bytes]) -> None:
    as_tar = outcome(tar(*(member(path, content) for path, content in files.items())), 1_000, as_form=False)
    parts = [
        (f'Content-Disposition: form-data; name="f"; filename="{path}"', content) for path, content in files.items()
    ]
    as_form = outcome(form(*parts), 77, as_form=True)

    assert as_tar == as_form
    assert isinstance(as_tar, dict)
    assert {path for path, what in as_tar.items() if not what.startswith("dir")} == set(files)
