"""One path of a tree leads to one file: itself, or through links that stay inside."""

from __future__ import annotations

import pytest
from blake3 import blake3

from raykqi.errors import InvalidInput, NotFound, RaykqiError, UnsafePath
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store
from raykqi.storage.open_file import open_file
from raykqi.storage.packs import pack_key
from raykqi.storage.trees import Entry, Tree


def link(path: str, target: str) -> Entry:
    encoded = target.encode()
    return Entry(path, "link", 0o777, len(encoded), blake3(encoded).hexdigest(), target)


def folder(path: str) -> Entry:
    return Entry(path, "dir", 0o755, 0, "")


def holding(store: Store, *others: Entry) -> Tree:
    """The file `d/x`, which says text, and the others."""
    hash_ = blake3(b"text").hexdigest()
    store.put(pack_key(hash_), b"text")
    return Tree.of([Entry("d/x", "file", 0o644, 4, hash_, pack_key(hash_)), folder("d"), *others])


@pytest.mark.parametrize(
    ("path", "target", "asked"),
    [
        ("l", "d/x", "l"),
        ("l", "d/../d/./x", "l"),
        ("e/l", "../d/x", "e/l"),
        ("e", "d", "e/x"),
        ("d/up", "..", "d/up/d/x"),
    ],
)
def test_a_link_is_followed_as_a_file_system_would(
    store: Store, settings: Settings, path: str, target: str, asked: str
) -> None:
    tree = holding(store, link(path, target))

    assert b"".join(open_file(store, tree, asked, settings=settings)) == b"text"


@pytest.mark.parametrize(
    ("path", "target"), [("l", "/etc/passwd"), ("l", "../x"), ("d/l", "../../d/x"), ("l", ".."), ("l", "up/../d/x")]
)
def test_a_link_out_of_the_data_is_named_as_such(store: Store, settings: Settings, path: str, target: str) -> None:
    tree = holding(store, link(path, target), link("up", ".."))

    with pytest.raises(UnsafePath, match=f"^{path!r} leads out of the data") as refused:
        open_file(store, tree, path, settings=settings)

    assert refused.value.hint == "`raykqi data ls -l` shows where links lead; what lies outside was not stored."


def test_a_link_to_nowhere_names_where_it_leads(store: Store, settings: Settings) -> None:
    with pytest.raises(NotFound, match="'l' leads to 'd/y', which the data does not have"):
        open_file(store, holding(store, link("l", "d/y")), "l", settings=settings)


@pytest.mark.parametrize(
    ("asked", "kind", "said"),
    [
        ("no", NotFound, "has no 'no'"),
        ("../d/x", NotFound, "has no '../d/x'"),
        ("/d/x", NotFound, "has no '/d/x'"),
        ("", NotFound, "has no ''"),
        ("d/", InvalidInput, "'d/' is a folder"),
        ("to-d", InvalidInput, "'to-d' is a folder"),
        ("here", InvalidInput, "'here' is a folder"),
        ("round", InvalidInput, "'round' leads in a circle"),
    ],
)
def test_what_is_no_file_is_refused_at_once(
    store: Store, settings: Settings, asked: str, kind: type[RaykqiError], said: str
) -> None:
    tree = holding(store, link("to-d", "d"), link("round", "round"), link("here", "."))

    with pytest.raises(kind, match=said):
        open_file(store, tree, asked, settings=settings)
