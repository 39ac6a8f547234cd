"""A workspace here and one over HTTP: the same verbs, with the same parameters, answers and words."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from raykqi.client import RemoteWorkspace
from raykqi.workspace import Workspace

# What the server of the API itself needs of a workspace, and no client.
OF_SERVERS = {
    "acting", "check_ready", "code_with", "commits", "commits_by_project", "content", "count_everywhere", "deeds",
    "endpoint_counts", "endpoint_of_any", "endpoints_of_all", "file_page", "file_urls", "has_endpoint",
    "has_project", "hosting", "is_begun", "is_over", "is_password", "log_reader", "once", "piece_urls",
    "promote_if_named", "push_code", "push_staged", "reach", "reader", "refresh", "replica_logs", "seq", "sign_in",
    "staging_folder", "tree", "uploads", "watching_run",
}  # fmt: skip
# What is done where the store is: a client says so.
WHERE_THE_STORE_IS = {"serve", "serve_detached", "serving", "stop_detached", "work"}
# Their words tell of the store, or of who may.
OTHER_WORDS = {"close", "doctor", "issue_token", "me", "project", "projects", "tokens", "wait"}


def verbs(kind: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(kind) if not name.startswith("_")}


HERE, REMOTE = verbs(Workspace), verbs(RemoteWorkspace)
SHARED = sorted(name for name in HERE.keys() & REMOTE.keys() - WHERE_THE_STORE_IS if callable(HERE[name]))


def test_both_have_the_same_verbs() -> None:
    assert HERE.keys() - REMOTE.keys() - OF_SERVERS == set()
    assert REMOTE.keys() - HERE.keys() == set()


@pytest.mark.parametrize("name", SHARED)
def test_a_verb_takes_and_answers_the_same(name: str) -> None:
    here, remote = (inspect.signature(each[name]) for each in (HERE, REMOTE))

    assert [str(parameter) for parameter in remote.parameters.values()] == [
        str(parameter) for parameter in here.parameters.values()
    ]
    assert remote.return_annotation == here.return_annotation


@pytest.mark.parametrize("name", [name for name in SHARED if name not in OTHER_WORDS])
def test_a_verb_is_described_in_the_same_words(name: str) -> None:
    assert inspect.getdoc(REMOTE[name]) == inspect.getdoc(HERE[name])
