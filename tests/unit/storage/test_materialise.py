"""Pulling: what was pushed is what is read, whole or not at all, and never outside of the target."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import HealthCheck, given
from hypothesis import settings as tested
from hypothesis import strategies as st

from raykqi.errors import Damaged, InvalidInput, NotFound, ObjectMissing, TargetNotEmpty, UnsafePath
from raykqi.settings import Settings
from raykqi.storage.filesystem import Store, open_store
from raykqi.storage.materialise import Materialised, materialise, open_file
from raykqi.storage.packs import BLOB_MIN, blob_key
from raykqi.storage.progress import SilentProgress
from raykqi.storage.push import push_bytes, push_tree
from raykqi.storage.trees import Entry, Tree, read_tree
from tests.examples import examples

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 200
)
sizes = st.sampled_from([0, 1, 4096, BLOB_MIN - 1, BLOB_MIN, BLOB_MIN + 1])


def look(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a folder: kind, mode, and content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("dir", mode)
        else:
            found[name] = ("file", mode, blake3(path.read_bytes()).hexdigest())
    return found


@st.composite
def sources(draw: st.DrawFn) -> list[tuple[str, str, int, int]]:
    """Path, kind, mode and size; a folder's name never serves as a file's."""
    folders = [f"d{name}" for name in draw(st.lists(names, max_size=2))]
    made = []
    for name in draw(st.lists(names, max_size=5, unique=True)):
        path = "/".join([*folders[: draw(st.integers(0, len(folders)))], f"f{name}"])
        kind = draw(st.sampled_from(["file", "file", "dir", "link"]))
        mode = draw(st.sampled_from([0o644, 0o600, 0o755, 0o777, 0o444, 0o500]))
        made.append((path, kind, mode, draw(sizes)))
    return made


@pytest.fixture
def working() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@tested(max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sources())
@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_whatever_is_pushed_is_pulled_the_same(
    working: Path, scheme: str, made: list[tuple[str, str, int, int]]
) -> None:
    source, target = working / "source", working / "target"
    for folder in (source, target):
        shutil.rmtree(folder, ignore_errors=True)
    source.mkdir()
    for path, kind, mode, size in made:
        place = source / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if kind == "dir":
            place.mkdir()
            os.chmod(place, mode | 0o700)
        elif kind == "link":
            place.symlink_to("somewhere")
        else:
            place.write_bytes(os.urandom(size))
            os.chmod(place, mode)
    settings = Settings(cache_dir=working / "cache")
    store = open_store(str(working / "store") if scheme == "local" else "memory://round-trips", settings)

    pushed = push_tree(store, source, settings=settings)
    pulled = materialise(store, read_tree(store, pushed.tree.hash), target, settings=settings)

    assert look(target) == look(source)
    assert pulled == Materialised(pushed.tree.files, pushed.tree.size)


def stored(store: Store, files: dict[str, bytes]) -> Tree:
    return read_tree(store, push_bytes(store, files).tree.hash)


def test_large_files_are_pulled_whole(store: Store, settings: Settings, tmp_path: Path) -> None:
    data = os.urandom((20 << 20) + 1)

    materialise(store, stored(store, {"a": data, "b": data}), tmp_path / "out", settings=settings)

    assert (tmp_path / "out" / "a").read_bytes() == (tmp_path / "out" / "b").read_bytes() == data


def test_folders_that_may_not_be_written_to_are_restored(store: Store, settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "locked" / "inner").mkdir(parents=True)
    (source / "locked" / "inner" / "x").write_bytes(b"1")
    for folder in ("locked/inner", "locked"):
        os.chmod(source / folder, 0o555)
    tree = read_tree(store, push_tree(store, source, settings=settings).tree.hash)

    materialise(store, tree, tmp_path / "out", settings=settings)

    assert look(tmp_path / "out") == look(source)


def test_the_target_is_as_open_as_any_new_folder(store: Store, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()

    materialise(store, stored(store, {"a": b"1"}), tmp_path / "out", settings=settings)

    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_patterns_bring_their_files_and_the_folders_above(store: Store, settings: Settings, tmp_path: Path) -> None:
    tree = stored(store, {"a/b/1.txt": b"1", "a/b/2.bin": b"2", "a/3.txt": b"3", "c/4.txt": b"4"})

    pulled = materialise(store, tree, tmp_path / "out", settings=settings, patterns=["a/**/*.txt"])

    assert list(look(tmp_path / "out")) == ["a", "a/3.txt", "a/b", "a/b/1.txt"]
    assert pulled == Materialised(2, 2)


def test_a_pattern_that_matches_nothing_is_named(store: Store, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="'x/\\*'"):
        materialise(store, stored(store, {"a": b"1"}), tmp_path / "out", settings=settings, patterns=["a", "x/*"])

    assert not (tmp_path / "out").exists()


def test_few_files_of_a_pack_are_fetched_alone(store: Store, settings: Settings, tmp_path: Path) -> None:
    contents = {f"{at:02}": bytes([at]) * (BLOB_MIN - 1) for at in range(31)}
    tree = stored(store, contents)

    materialise(store, tree, tmp_path / "out", settings=settings, patterns=["00", "01", "30"])

    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {
        name: contents[name] for name in ("00", "01", "30")
    }
    assert not (settings.cache_dir / "objects").exists()


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("l", "/etc/passwd"),
        ("l", ".."),
        ("a/l", "../../x"),
        ("a/l", "b/../../../x"),
        ("a/l", "../to-root/.."),
        ("a/l", "../deep/up/x"),
    ],
)
def test_links_that_lead_out_of_the_tree_are_refused(
    store: Store, settings: Settings, tmp_path: Path, path: str, target: str
) -> None:
    def link(path: str, target: str) -> Entry:
        encoded = target.encode()
        return Entry(path, "link", 0o777, len(encoded), blake3(encoded).hexdigest(), target)

    tree = Tree.of([link(path, target), link("to-root", "deep/.."), link("deep/up", "../.."), link("fine", "deep")])

    with pytest.raises(UnsafePath, match="outside"):
        materialise(store, tree, tmp_path / "out", settings=settings, patterns=[path])
    assert not (tmp_path / "out").exists()
    materialise(store, tree, tmp_path / "out", settings=settings, allow_unsafe_links=True)
    assert os.readlink(tmp_path / "out" / path) == target


@pytest.mark.parametrize("target", ["b", "../a/b", "./b/../b", "../self", "nowhere", "../to-root/a/b"])
def test_links_that_stay_inside_are_restored(store: Store, settings: Settings, tmp_path: Path, target: str) -> None:
    def link(path: str, target: str) -> Entry:
        encoded = target.encode()
        return Entry(path, "link", 0o777, len(encoded), blake3(encoded).hexdigest(), target)

    tree = Tree.of([link("a/l", target), link("self", "self"), link("to-root", "."), Entry("a/b", "dir", 0o755, 0, "")])

    materialise(store, tree, tmp_path / "out", settings=settings)

    assert os.readlink(tmp_path / "out" / "a" / "l") == target


def test_a_target_with_something_in_it_is_refused(store: Store, settings: Settings, tmp_path: Path) -> None:
    tree = stored(store, {"a": b"1"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()

    with pytest.raises(TargetNotEmpty, match="out is not empty"):
        materialise(store, tree, tmp_path / "out", settings=settings)
    with pytest.raises(TargetNotEmpty, match="mine is a file"):
        materialise(store, tree, tmp_path / "out" / "mine", settings=settings, overwrite=True)

    assert list(look(tmp_path / "out")) == ["mine"]


def test_an_empty_target_is_filled(store: Store, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    materialise(store, stored(store, {"a": b"1"}), tmp_path / "out", settings=settings)

    assert (tmp_path / "out" / "a").read_bytes() == b"1"


def test_overwriting_replaces_files_and_keeps_others(store: Store, settings: Settings, tmp_path: Path) -> None:
    tree = stored(store, {"a": b"new", "d/b": b"new"})
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    for path in ("a", "d/b", "d/mine"):
        (out / path).write_bytes(b"old")

    materialise(store, tree, out, settings=settings, overwrite=True)

    assert {path: (out / path).read_bytes() for path in ("a", "d/b", "d/mine")} == {
        "a": b"new",
        "d/b": b"new",
        "d/mine": b"old",
    }
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_overwriting_never_follows_links_out_of_the_target(store: Store, settings: Settings, tmp_path: Path) -> None:
    outside, out = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    (outside / "b").write_bytes(b"precious")
    out.mkdir()
    (out / "d").symlink_to(outside)
    (out / "a").symlink_to(outside / "b")

    materialise(store, stored(store, {"a": b"new", "d/b": b"new"}), out, settings=settings, overwrite=True)

    assert (outside / "b").read_bytes() == b"precious"
    assert (out / "d" / "b").read_bytes() == (out / "a").read_bytes() == b"new"
    assert not (out / "d").is_symlink()


def test_overwriting_does_not_remove_a_folder_for_a_file(store: Store, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "out" / "b").mkdir(parents=True)
    (tmp_path / "out" / "a").write_bytes(b"old")

    with pytest.raises(TargetNotEmpty, match="out/b is a folder"):
        materialise(store, stored(store, {"a": b"1", "b": b"2"}), tmp_path / "out", settings=settings, overwrite=True)

    assert (tmp_path / "out" / "a").read_bytes() == b"old"


@pytest.mark.parametrize("size", [10, BLOB_MIN, 20 << 20])
def test_a_flipped_byte_is_found_and_named(store: Store, settings: Settings, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    tree = stored(store, {"good": b"good", "z": data})
    (key,) = {entry.object for entry in tree if entry.path == "z"}
    flipped = bytearray(store.get(key))
    flipped[-1] ^= 1
    store.put(key, bytes(flipped))

    with pytest.raises(Damaged, match=rf"{key}.*'z'"):
        materialise(store, tree, tmp_path / "out", settings=settings)
    with pytest.raises(Damaged, match=rf"{key}.*'z'"):
        list(open_file(store, tree, "z", settings=settings))

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({"store", "cache"} & set(os.listdir(tmp_path)))


@pytest.mark.parametrize("size", [10, 20 << 20])
def test_a_missing_object_is_named(store: Store, settings: Settings, tmp_path: Path, size: int) -> None:
    tree = stored(store, {"z": b"z" * size})
    (key,) = tree.objects()
    store.delete([key])

    with pytest.raises(ObjectMissing, match=key):
        materialise(store, tree, tmp_path / "out", settings=settings)
    with pytest.raises(ObjectMissing, match=key):
        list(open_file(store, tree, "z", settings=settings))


def test_an_interrupted_pull_leaves_nothing(store: Store, settings: Settings, tmp_path: Path) -> None:
    class Interrupting(SilentProgress):
        def advance(self, files: int, size: int) -> None:
            if files or size:
                raise KeyboardInterrupt

    tree = stored(store, {"a": b"1", "b": b"2" * (20 << 20)})
    before = set(os.listdir(tmp_path)) | {"cache"}

    with pytest.raises(KeyboardInterrupt):
        materialise(store, tree, tmp_path / "out", settings=settings, progress=Interrupting())

    assert set(os.listdir(tmp_path)) <= before


def test_changing_a_pulled_file_does_not_change_the_store(store: Store, settings: Settings, tmp_path: Path) -> None:
    data = os.urandom(20 << 20)
    tree = stored(store, {"a": data, "b": b"small"})
    materialise(store, tree, tmp_path / "out", settings=settings)

    for name in ("a", "b"):
        with (tmp_path / "out" / name).open("r+b") as file:
            file.write(b"scribble")

    assert store.get(blob_key(blake3(data).hexdigest())) == data
    assert b"".join(open_file(store, tree, "b", settings=settings)) == b"small"


def test_a_file_is_read_alone_and_through_links(store: Store, settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d" / "x").write_bytes(b"text")
    (source / "d" / "empty").touch()
    (source / "d" / "l").symlink_to("../d/./x")
    (source / "round").symlink_to("round")
    tree = read_tree(store, push_tree(store, source, settings=settings).tree.hash)

    def read(path: str) -> bytes:
        return b"".join(open_file(store, tree, path, settings=settings))

    assert (read("d/x"), read("./d/l"), read("d/empty")) == (b"text", b"text", b"")
    for path, said in (("d", "is a folder"), ("no", "has no 'no'"), ("round", "circle")):
        with pytest.raises((NotFound, InvalidInput), match=said):
            read(path)


def test_of_a_damaged_large_file_the_end_is_never_given_out(settings: Settings, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), settings)
    data = os.urandom(10 << 20)
    tree = stored(store, {"z": data})
    (key,) = tree.objects()
    store.put(key, bytes([data[0] ^ 1]) + data[1:])
    given_out = 0

    with pytest.raises(Damaged):
        for piece in open_file(store, tree, "z", settings=settings):
            given_out += len(piece)

    assert given_out < len(data)
