"""YAML as text with lines: what it keeps as written, and what it refuses to be drawn into."""

from __future__ import annotations

import pytest

from raykqi.errors import InvalidInput
from raykqi.importers.yaml_tree import Plain, read_tree


def test_scalars_stay_what_was_written() -> None:
    tree, _ = read_tree("a: no\nb: 010\nc: 10:30\nd: 2026-01-01\ne: '1'\nf: ~\ng:\nh: 0o7\ni: ''\n", "f")

    assert tree == {
        "a": "no", "b": "010", "c": "10:30", "d": "2026-01-01", "e": "1", "f": None, "g": None, "h": "0o7", "i": "",
    }  # fmt: skip
    assert isinstance(tree, dict)
    assert [key for key, value in tree.items() if isinstance(value, Plain)] == ["a", "b", "c", "d", "h"]


def test_every_key_and_item_knows_its_line() -> None:
    _, lines = read_tree("a:\n  - x\n  -\n    b: 1\nc:\n  d: {e: 1}\n", "f")

    assert lines == {
        (): 1, ("a",): 1, ("a", 0): 2, ("a", 1): 4, ("a", 1, "b"): 4, ("c",): 5, ("c", "d"): 6, ("c", "d", "e"): 6,
    }  # fmt: skip


BOMB = "a: &a [x, x, x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcde", "bcdef", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "f:2: the alias *a repeats another part"),
        ("a: &a {b: *a}\n", "f:1: the alias *a"),
        ("x: {<<: *a}\n", "f:1: the alias *a"),
        ("a: 1\nb: 2\na: 3\n", "f:3: the key 'a' is here again, it was on line 1"),
        ("i:\n  - {p: 1, p: 2}\n", "f:2: the key 'p' is here again"),
        ("a: 1\n---\nb: 2\n", "f:2: a second document begins"),
        ("a: !!python/object:os.system x\n", "f:1: 'tag:yaml.org,2002:python/object:os.system' is a YAML tag"),
        ("{a: b}: c\n", "f:1: a mapping or a list is used as a key"),
        ("a:\n\t- b\n", "f:2: a tab indents this line"),
        ("a: [1, 2\n", "not YAML"),
        ("a: b: c\n", "f:1: not YAML"),
        ("%\n", "not YAML"),
        ("a: \x07\n", "not YAML"),
        ("[" * 100_000, "nested more than 20 deep"),
        ("{a: " * 100_000, "nested more than 20 deep"),
        ("- a\n" * 60_000, "more than 50,000 values"),
        ("a: '\ud800'\n", "half a character"),
    ],
)
def test_what_no_plan_needs_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_tree(text, "f")

    assert message in refused.value.message
    assert refused.value.hint
