"""Hooks as values: which events a webhook wants, and what is shown of a URL."""

from __future__ import annotations

import pytest

from raykqi.domain.hooks import ACTIONS, Hooks, Webhook, show_url
from raykqi.errors import InvalidInput


def webhook(*events: str) -> Webhook:
    return Webhook("ci", "http://localhost/", "secret", events)


def test_a_webhook_wants_the_events_it_names_their_kinds_or_all() -> None:
    assert [action for action in ACTIONS if webhook("run.ended", "plan.applied").wants(action)] == [
        "plan.applied",
        "run.ended",
    ]
    assert [action for action in ACTIONS if webhook("data.*").wants(action)] == ["data.purged", "data.removed"]
    assert all(webhook().wants(action) for action in ACTIONS)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://localhost:8080/hook", "http://localhost:8080/hook"),
        ("https://user:word@host/a/b?token=t#f", "https://host/a/b"),
        ("http://u:p@/x?y", "http:///x"),
        ("u:p@host", "host"),
    ],
)
def test_what_may_be_secret_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert show_url(url) == shown


def test_values_that_cannot_work_are_refused() -> None:
    with pytest.raises(InvalidInput, match="has no secret"):
        Webhook("ci", "http://localhost/", "")
    with pytest.raises(InvalidInput, match="is no URL to call"):
        Hooks(after=("localhost:80",))
    with pytest.raises(InvalidInput, match="several webhooks 'ci'"):
        Hooks(webhooks=(webhook(), webhook()))
