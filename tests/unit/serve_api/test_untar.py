"""A tar, chunk by chunk, into a staged tree: what is kept, and what is refused with nothing left outside."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from raykqi.errors import InvalidInput, RaykqiError, StorageFull, TooLarge, UnsafePath
from serve_api.bytes.gunzip import Archive
from serve_api.bytes.limits import UploadLimits
from serve_api.bytes.untar import Untar
from tests.unit.serve_api.archives import LIMITS, feed, listing, member, staged, tar

LINK, HARD, DIR, FIFO = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE


def taken(tmp_path: Path, body: bytes, limits: UploadLimits = LIMITS, step: int = 1 << 16) -> dict[str, str]:
    tree = staged(tmp_path / "staged", limits)
    try:
        feed(Archive(Untar(tree), limits), body, step)
    finally:
        tree.close()
    return listing(tree.folder)


@pytest.mark.parametrize("step", [1, 7, 512, 100_000])
@pytest.mark.parametrize("format_", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_what_a_folder_holds_comes_out_of_its_archive(tmp_path: Path, step: int, format_: int) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format_) as archive:
        for path, kind, mode, to, content in [
            ("./", DIR, 0o755, "", b""),
            ("./写真", DIR, 0o750, "", b""),
            ("./写真/紅葉 1枚目.png", tarfile.REGTYPE, 0o640, "", b"png"),
            ("./bin/run.sh", tarfile.REGTYPE, 0o755, "", b"#!/bin/sh\n"),
            ("./bin/again", LINK, 0o777, "run.sh", b""),
            ("./bin/same", HARD, 0o755, "./bin/run.sh", b""),
            ("./empty", DIR, 0o700, "", b""),
            ("./nothing", tarfile.REGTYPE, 0o600, "", b""),
            ("./" + "長" * 80 + "/" + "x" * 200, tarfile.REGTYPE, 0o644, "", b"deep"),
        ]:
            info = tarfile.TarInfo(path)
            info.type, info.mode, info.linkname, info.size = kind, mode, to, len(content)
            archive.addfile(info, io.BytesIO(content))

    assert taken(tmp_path, made.getvalue(), step=step) == {
        "bin": "dir 755",
        "bin/again": "-> run.sh",
        "bin/run.sh": "755 #!/bin/sh\n",
        "bin/same": "755 #!/bin/sh\n",
        "empty": "dir 700",
        "nothing": "600 ",
        "写真": "dir 750",
        "写真/紅葉 1枚目.png": "640 png",
        "長" * 80: "dir 755",
        "長" * 80 + "/" + "x" * 200: "644 deep",
    }


def test_a_packed_archive_is_known_by_its_bytes(tmp_path: Path) -> None:
    body = gzip.compress(tar(member("a", b"one"))[:700]) + gzip.compress(tar(member("a", b"one"))[700:])

    assert taken(tmp_path, body, step=3) == {"a": "644 one"}


def test_setuid_is_lost_and_what_was_sent_stays_readable(tmp_path: Path) -> None:
    body = tar(member("d", kind=DIR, mode=0), member("d/a", b"x", mode=0o4711), member("d/b", b"y", mode=0))

    assert taken(tmp_path, body) == {"d": "dir 500", "d/a": "711 x", "d/b": "400 y"}


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (tar(member("/etc/passwd", b"x")), UnsafePath, "absolute"),
        (tar(member("../x", b"x")), UnsafePath, "leads out"),
        (tar(member("a/../../x", b"x")), UnsafePath, "leads out"),
        (tar(member("a", kind=LINK, to="/etc")), UnsafePath, "outside"),
        (tar(member("a/b", kind=LINK, to="../../x")), UnsafePath, "outside"),
        (tar(member("a", kind=LINK, to="b"), member("b", kind=LINK, to="..")), UnsafePath, "outside"),
        (tar(member("a", kind=LINK, to="."), member("a/x", b"x")), UnsafePath, "no folder"),
        (tar(member("a", b"x"), member("a/x", b"x")), UnsafePath, "no folder"),
        (tar(member("a", kind=HARD, to="/etc/passwd")), UnsafePath, "absolute"),
        (tar(member("a", kind=HARD, to="b")), InvalidInput, "hard link"),
        (tar(member("d", kind=DIR), member("a", kind=HARD, to="d")), InvalidInput, "hard link"),
        (tar(member("a", kind=FIFO)), InvalidInput, "FIFO"),
        (tar(member("a", kind=tarfile.CHRTYPE)), InvalidInput, "character device"),
        (tar(member("a", kind=tarfile.BLKTYPE)), InvalidInput, "block device"),
        (tar(member("a", kind=tarfile.GNUTYPE_SPARSE)), InvalidInput, "sparse"),
        (tar(member("a", kind=b"M")), InvalidInput, "several volumes"),
        (tar(member("a", kind=b"Z")), InvalidInput, "unknown type"),
        (tar(member("a", b"x"), member("./a", b"y")), InvalidInput, "comes twice"),
        (tar(member("a", kind=DIR), member("a", kind=DIR)), InvalidInput, "comes twice"),
        (tar(member("a", kind=DIR), member("a", b"x")), InvalidInput, "comes twice"),
        (tar(member("\udcff", b"x")), InvalidInput, "UTF-8"),
        (tar(member("a" * 256, b"x")), InvalidInput, "too long"),
        (tar(member("/".join(["a"] * 300), b"x")), InvalidInput, "too long"),
        (tar(member("", b"x")), UnsafePath, "no file"),
        (tar(member("a", b"x"))[:-1024], InvalidInput, "ends early"),
        (tar(member("a", b"x"))[:-512], InvalidInput, "ends early"),
        (tar(member("a", b"x" * 1000))[:900], InvalidInput, "ends early"),
        (tar(member("a", b"x", size=1 << 20)), InvalidInput, "ends early"),
        (tar(member("a", b"x", size=1 << 40)), TooLarge, "more than"),
        (tar(member("a", b"x" * 1000, size=3)), InvalidInput, "no tar archive"),
        (tar(member("a", b"x")) + b"more", InvalidInput, "follows the end"),
        (member("a", b"x") + bytes(512) + tar(member("b", b"x")), InvalidInput, "empty block"),
        (b"hello", InvalidInput, "ends early"),
        (b"hello" * 200, InvalidInput, "no tar archive"),
        (b"", InvalidInput, "empty"),
        (gzip.compress(tar(member("a", b"x")), mtime=0)[:-4], InvalidInput, "ends early"),
        (gzip.compress(tar(member("a", b"x")), mtime=0) + b"junk", InvalidInput, "no sound gzip"),
        (b"\x1f\x8b" + b"junk" * 100, InvalidInput, "no sound gzip"),
    ],
)
def test_what_no_data_can_be_is_refused(tmp_path: Path, body: bytes, error: type[RaykqiError], says: str) -> None:
    with pytest.raises(error, match=says):
        taken(tmp_path, body)

    assert [path.name for path in tmp_path.iterdir()] == ["staged"]


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (b"22 GNU.sparse.major=1\n", "sparse"),
        (b"12 size=-5\n\n", "bytes"),
        (b"11 size=-5\n", "bytes"),
        (b"99 path=x\n", "malformed"),
        (b"path=x\n", "malformed"),
        (b"6 =xx\n", "malformed"),
        (b"13 path=../x\n", "leads out"),
        (b"13 path=a\0bc\n", "NUL"),
    ],
)
def test_headers_of_pax_cannot_be_used_against_us(tmp_path: Path, records: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        taken(tmp_path, tar(member("x", records, kind=b"x"), member("a", b"x")))


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_that_would_fill_memory_is_refused_before_it_comes(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(TooLarge, match="header"):
        taken(tmp_path, member("x", kind=kind, size=8**11 - 1))


def test_headers_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="headers for one file"):
        taken(tmp_path, b"".join(member("x", b"11 comment=\n"[:11], kind=b"L") for _ in range(20)))


def test_a_bomb_is_noticed_while_it_unfolds(tmp_path: Path) -> None:
    bomb = gzip.compress(tar(member("zeros", bytes(40 << 20))))

    with pytest.raises(TooLarge, match="20 times"):
        taken(tmp_path, bomb)

    assert (tmp_path / "staged/zeros").stat().st_size < 4 << 20


def test_too_many_files_or_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="1000 files"):
        taken(tmp_path / "1", tar(*(member(f"{n}") for n in range(1_001))))
    with pytest.raises(TooLarge, match="bytes that this server takes"):
        taken(tmp_path / "2", tar(*(member(f"{n}", bytes(30 << 20)) for n in range(3))))


def test_names_for_one_file_count_as_often_as_they_are_given(tmp_path: Path) -> None:
    big = member("a", bytes(30 << 20))

    with pytest.raises(TooLarge):
        taken(tmp_path, tar(big, member("b", kind=HARD, to="a"), member("c", kind=HARD, to="a")))


def test_space_on_the_disk_is_left_for_others(tmp_path: Path) -> None:
    limits = UploadLimits(reserve=1 << 60)

    with pytest.raises(StorageFull, match="not enough space"):
        taken(tmp_path, tar(member("a", b"x")), limits)
