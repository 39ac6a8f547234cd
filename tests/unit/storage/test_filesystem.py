"""What is a key, and which place a URL names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.errors import InvalidInput, UnsafePath
from raykqi.settings import Settings
from raykqi.storage.filesystem import check_key, is_key, open_store

PARTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=20).filter(
    lambda part: part not in (".", "..")
)


@given(st.lists(PARTS, min_size=1, max_size=5).map("/".join))
def test_clean_relative_paths_are_keys(key: str) -> None:
    assert check_key(key) == key


@given(st.text(st.sampled_from("ab./\0\n\x7f\udc80é"), max_size=12))
def test_no_key_leaves_the_store(text: str) -> None:
    inside = not text.startswith("/") and not {"", ".", ".."} & set(text.split("/"))

    assert is_key(text) == (inside and not set("\0\n\x7f\udc80") & set(text))


def test_a_bad_key_is_quoted() -> None:
    with pytest.raises(UnsafePath, match=r"'\.\./etc/passwd' is not a storage key") as refused:
        check_key("../etc/passwd")
    assert refused.value.hint.startswith("Keys are relative paths: no leading or doubled '/'")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("memory://lab", "memory://lab"),
        ("memory://lab/", "memory://lab"),
        ("MEMORY://lab", "memory://lab"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/lab/写真/", "s3://bucket/lab/写真"),
        ("file:///data/my%20lab", "/data/my lab"),
        ("/data/my%20lab", "/data/my%20lab"),
        ("/data/写真", "/data/写真"),
    ],
)
def test_a_url_names_a_place(url: str, place: str) -> None:
    store = open_store(url, Settings())

    assert store.url == place
    store.close()


def test_relative_paths_stay_where_they_were_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("lab", Settings())
    monkeypatch.chdir("/")

    store.put("a", b"x")

    assert (tmp_path / "lab/a").read_bytes() == b"x"


def test_a_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert open_store("~/lab", Settings()).url == str(tmp_path / "lab")


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("", "'' names no place", "Give a folder or a URL"),
        ("a\0b", r"'a\\x00b' names no place", "Give a folder or a URL"),
        ("s3:bucket/lab", "'s3:bucket/lab' lacks the '//'", "Write s3://…, or ./s3:bucket/lab for a folder."),
        ("s3://", "'s3://' names no bucket", "Write s3://bucket/prefix"),
        ("s3:///lab", "'s3:///lab' names no bucket", "Write s3://bucket/prefix"),
        ("s3://bück/lab", "'s3://bück/lab' names no bucket", "Write s3://bucket/prefix"),
        ("s3://bucket/../lab", r"'\.\./lab' is not a storage key", "Keys are relative paths"),
        ("s3://bucket/a\0", "holds a NUL character", "Give a URL without it."),
        ("memory://", "'memory://' names no memory store", "Write memory://NAME"),
        ("file://lab", "'file://lab' is not an absolute path", "Write file:///absolute/path"),
        ("https://lab/?token=x", "https:// is one of a server", "Talk with a server by raykqi.connect"),
        ("gs://bucket/lab", "gs:// is not known", "Give a path, file:///path, s3://bucket/prefix or memory://name."),
    ],
)
def test_what_names_no_place_is_refused(url: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=message) as refused:
        open_store(url, Settings())
    assert refused.value.hint.startswith(hint)


def test_a_file_is_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(InvalidInput, match=f"{tmp_path}/file is a file"):
        open_store(str(tmp_path / "file"), Settings())


def test_opening_makes_nothing(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "deep/lab"), Settings())

    assert not store.exists("a")
    assert list(store.list("")) == []
    store.delete(["a"])
    store.sweep_leftovers()
    store.close()

    assert os.listdir(tmp_path) == []
