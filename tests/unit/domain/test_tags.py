"""Tags: what may be set, what may be asked for, and what is refused with which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raykqi.domain.data import Data, TreeRef, Upstream
from raykqi.domain.tags import KEY_CHARS, VALUE_BYTES, Tag, check_key, parse_query_tag, parse_tag, parse_tags
from raykqi.errors import InvalidTag
from tests.unit.catalog.history import START

values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r:"), min_size=1, max_size=40).filter(
    lambda key: key.strip() and not key.strip().startswith(("raykqi#", "knit#", "!"))
)


def test_a_key_that_could_not_be_asked_for_is_refused() -> None:
    with pytest.raises(InvalidTag, match="means «without»"):
        parse_tag("!stage:prod")


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("type:dataset", "type", "dataset"),
        (" type : dataset ", "type", "dataset"),
        ("time:12:30:00", "time", "12:30:00"),
        ("url:s3://bucket/lab", "url", "s3://bucket/lab"),
        ("note:", "note", ""),
        ("note:  ", "note", ""),
        ("言語:日本語", "言語", "日本語"),
        ("\u3000名前\u3000:\u3000太郎 花子\u3000", "名前", "太郎 花子"),
        ("note:two\nlines", "note", "two\nlines"),
        ("two words:a b", "two words", "a b"),
        ("#1:x", "#1", "x"),
        ("myraykqi#id:x", "myraykqi#id", "x"),
    ],
)
def test_a_tag_is_split_at_the_first_colon_and_trimmed(text: str, key: str, value: str) -> None:
    assert parse_tag(text) == Tag(key, value)
    assert parse_query_tag(text) == Tag(key, value)


@given(keys, values)
def test_what_a_tag_prints_is_read_as_the_same_tag(key: str, value: str) -> None:
    tag = parse_tag(f"{key}:{value}")

    assert tag == Tag(key.strip(), value.strip())
    assert parse_tag(str(tag)) == tag


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_a_tag_that_can_be_stored_or_is_refused_as_one(text: str) -> None:
    try:
        stored = str(parse_tag(text)).encode()
    except InvalidTag:
        stored = b""
    assert b"\0" not in stored


def test_tags_are_a_sorted_set() -> None:
    assert parse_tags(["b:2", "a:1", " b : 2", "b:1"]) == (Tag("a", "1"), Tag("b", "1"), Tag("b", "2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset", "tag 'dataset' has no ':'"),
        ("", "tag '' has no ':'"),
        (":dataset", "tag ':dataset' has no key"),
        ("  : x", "tag '  : x' has no key"),
        ("a\0b:x", "the key of tag 'a\\x00b:x' holds a line break or NUL"),
        ("a\nb:x", "the key of tag 'a\\nb:x' holds a line break or NUL"),
        ("a\rb:x", "the key of tag 'a\\rb:x' holds a line break or NUL"),
        ("a:x\0", "the value of tag 'a:x\\x00' holds NUL"),
        ("a:\ud800", "tag 'a:\\ud800' is not valid Unicode"),
        ("\udcff:x", "tag '\\udcff:x' is not valid Unicode"),
    ],
)
def test_what_is_no_tag_is_quoted_in_the_refusal(text: str, message: str) -> None:
    with pytest.raises(InvalidTag) as refused:
        parse_tag(text)

    assert refused.value.message == message
    assert refused.value.hint


def test_a_key_may_have_1024_characters_and_no_more() -> None:
    assert parse_tag("鍵" * 1024 + ":x").key == "鍵" * KEY_CHARS

    with pytest.raises(InvalidTag, match="has 1025 characters, more than 1024") as refused:
        parse_tag("鍵" * 1025 + ":x")
    assert len(refused.value.message) < 150


def test_a_value_may_have_a_mebibyte_and_no_more() -> None:
    assert len(parse_tag("text:" + "x" * (1 << 20)).value) == VALUE_BYTES

    with pytest.raises(InvalidTag, match="has 1048577 bytes, more than 1048576"):
        parse_tag("text:" + "x" * (1 << 20) + "x")
    with pytest.raises(InvalidTag, match="has 1048578 bytes, more than 1048576"):
        parse_tag("text:" + "あ" * (349_526))


@pytest.mark.parametrize("text", ["raykqi#id:x", "knit#id:x", " knit#timestamp:x", "raykqi#:x", "raykqi#mine:x"])
def test_nobody_sets_what_the_system_computes(text: str) -> None:
    with pytest.raises(InvalidTag, match="which only the system sets"):
        parse_tag(text)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("raykqi#id:01939c1c", Tag("raykqi#id", "01939c1c")),
        ("knit#id:01939c1c", Tag("raykqi#id", "01939c1c")),
        ("raykqi#timestamp:2026-11-20T18:30:00.123+09:00", Tag("raykqi#timestamp", "2026-11-20T18:30:00.123+09:00")),
        ("knit#transient:processing", Tag("raykqi#transient", "processing")),
        ("raykqi#transient:failed", Tag("raykqi#transient", "failed")),
        ("raykqi#transient:purged", Tag("raykqi#transient", "purged")),
    ],
)
def test_what_the_system_computes_may_be_asked_for_in_both_spellings(text: str, tag: Tag) -> None:
    assert parse_query_tag(text) == tag
    assert tag.is_system


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("raykqi#timestamp:yesterday", "'yesterday' is not a date or time"),
        ("raykqi#transient:done", "'raykqi#transient:done': raykqi#transient is never 'done'"),
        ("knit#size:3", "there is no system tag 'raykqi#size'"),
    ],
)
def test_what_the_system_never_computes_is_refused_when_asked_for(text: str, message: str) -> None:
    with pytest.raises(InvalidTag) as refused:
        parse_query_tag(text)

    assert refused.value.message == message


def test_a_key_alone_is_told_from_a_tag() -> None:
    assert check_key(" split ") == "split"

    with pytest.raises(InvalidTag, match="'split:train' is a tag, not a key"):
        check_key("split:train")
    with pytest.raises(InvalidTag, match="which only the system sets"):
        check_key("knit#id")


@pytest.mark.parametrize(
    ("tags", "name"), [(["type:x"], ""), (["name:photos"], "photos"), (["name:b", "name:a", "type:x"], "a")]
)
def test_data_are_called_by_their_first_name_tag(tags: list[str], name: str) -> None:
    upstream = Upstream("run", "raykqi#uploaded", "/upload")
    data = Data("id", "default", "done", START, START, "hanako", TreeRef("0", 0, 0), upstream, parse_tags(tags))

    assert data.name == name
