"""The texts by which users and runs come, and what others hear of events with hashes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from raykqi.domain.access_events import TokenIssued, UserAdded, UserChanged, told
from raykqi.domain.run_token import RunToken, read_run_token, sign_run_token
from raykqi.domain.token_text import digest_of, is_secret_of, new_secret, read_token, token_text

ID = "01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33"
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
KEY = b"k" * 32
RUN = RunToken(ID, 3, "lab-2", NOW + timedelta(hours=1))


def test_a_token_says_its_id_and_its_secret() -> None:
    secret = new_secret()

    assert read_token(token_text(ID, secret)) == (ID, secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rkq_",
        "rkq_01939c1c7d1e7b0a9f410d9a6c1e2f33_",
        f"rkq_{ID}_{'a' * 43}",
        f"rkq_{'g' * 32}_{'a' * 43}",
        "トークン",
    ],
)
def test_what_is_no_token_is_none(text: str) -> None:
    assert read_token(text) is None


def test_two_secrets_differ_and_only_the_right_one_fits_its_hash() -> None:
    one, other = new_secret(), new_secret()

    assert one != other
    assert is_secret_of(one, digest_of(one))
    assert not is_secret_of(other, digest_of(one))


def test_the_token_of_a_run_says_which_run_it_is_of() -> None:
    assert read_run_token(sign_run_token(RUN, KEY), KEY, NOW) == RUN


def test_the_token_of_a_run_ends() -> None:
    text = sign_run_token(RUN, KEY)

    assert read_run_token(text, KEY, NOW + timedelta(minutes=59, seconds=59)) == RUN
    assert read_run_token(text, KEY, NOW + timedelta(hours=1)) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (".3.", ".4."),
        (".lab-2.", ".lab-3."),
        (ID, ID.replace("33", "34")),
        (str(int(RUN.expires.timestamp())), str(int(RUN.expires.timestamp()) + 9_000)),
    ],
)
def test_whoever_changes_the_token_of_a_run_has_none(before: str, after: str) -> None:
    text = sign_run_token(RUN, KEY)

    assert before in text
    assert read_run_token(text.replace(before, after), KEY, NOW) is None


def test_another_key_signs_for_nobody_here() -> None:
    assert read_run_token(sign_run_token(RUN, b"other" * 8), KEY, NOW) is None


def test_others_hear_nothing_of_hashes() -> None:
    issued = TokenIssued(NOW, "hana", ID, "hana", "ci", "digest" * 10, NOW + timedelta(days=1))
    added = UserAdded(NOW, "hana", "taro", password="$argon2id$hash")
    changed = UserChanged(NOW, "hana", "taro", password="$argon2id$hash")

    said = b"".join(msgspec.json.encode(told(event)) for event in (issued, added, changed))

    assert b"digestdigest" not in said
    assert b"argon2id" not in said
    assert told(UserChanged(NOW, "hana", "taro", is_disabled=True)).is_disabled is True
