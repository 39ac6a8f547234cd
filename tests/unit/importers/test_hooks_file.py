"""The file with hooks and webhooks: what it may hold, and that no refusal shows a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.domain.hooks import Hooks, Webhook
from raykqi.errors import InvalidInput, NotFound
from raykqi.importers.hooks_file import read_hooks

SECRET = "5ecret-t3xt"
WEBHOOK = f"webhooks:\n  - name: ci\n    url: http://localhost/x\n    secret: {SECRET}\n"


def test_everything_that_a_file_may_hold(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{SECRET}\n")
    hooks = read(
        tmp_path,
        """
        before: [http://localhost:8080/a, "https://user:pass@example.com/b?c=d"]
        after:
          - http://localhost:8080/after
        timeout: 2m
        webhooks:
          - {name: chat, url: "https://example.com/hook", secret: 12345, events: [run.ended, "data.*"], plans: [train]}
          - {name: ci, url: "http://localhost/x", secret_file: key}
        """,
    )

    assert hooks == Hooks(
        before=("http://localhost:8080/a", "https://user:pass@example.com/b?c=d"),
        after=("http://localhost:8080/after",),
        timeout=120.0,
        webhooks=(
            Webhook("chat", "https://example.com/hook", "12345", ("run.ended", "data.*"), ("train",)),
            Webhook("ci", "http://localhost/x", SECRET),
        ),
    )


def test_neither_secrets_nor_urls_are_in_what_is_shown_of_hooks(tmp_path: Path) -> None:
    shown = repr(read(tmp_path, f"before: ['http://a:{SECRET}@h/']\n{WEBHOOK}"))
    assert SECRET not in shown
    assert "ci" in shown


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("befor: []", "hooks.yaml:1: befor: there is no key 'befor' in hooks", "Did you mean 'before'?"),
        ("", "there are no hooks in it", "before, after"),
        ("- http://localhost/", "there are no hooks in it", "before, after"),
        ("before: http://u:5ecret-t3xt@localhost/", "hooks.yaml:1: before: it is no list", "Write a list"),
        ("before: [ftp://a/b]", "hooks.yaml:1: before[0]: 'ftp://a/b' is no URL to call", "http://host/path"),
        ("after:\n  - http://a/b\n  - http:///b", "hooks.yaml:3: after[1]: 'http:///b' is no URL", "http://host/path"),
        ("before: ['http://u:5ecret-t3xt@/?x=5ecret-t3xt']", "is no URL to call", "http://host/path"),
        ("timeout: soon", "hooks.yaml:1: timeout: 'soon' is no duration", "30s"),
        ("timeout: 0", "hooks.yaml:1: timeout: a timeout of 0 s is not possible", "up to an hour"),
        (WEBHOOK + "    evnts: [run.ended]", "hooks.yaml:5: webhooks[0].evnts: there is no key 'evnts'", "'events'"),
        (WEBHOOK + "    events: [run.end]", "hooks.yaml:5: webhooks[0].events[0]: nothing is ever 'run.end'", "run.*"),
        (WEBHOOK.replace("ci", "a/b"), "hooks.yaml:2: webhooks[0].name: 'a/b' is no name", "letters"),
        (
            WEBHOOK.replace("    url: http://localhost/x\n", ""),
            "hooks.yaml:2: webhooks[0]: the webhook has no url",
            "url:",
        ),
        (WEBHOOK + "    secret_file: key", "hooks.yaml:2: webhooks[0]: a webhook has one secret", "secret_file"),
        (WEBHOOK.replace(SECRET, f"{{{SECRET}: x}}"), "webhooks[0].secret: the secret is no text", "Write a text"),
        (WEBHOOK.replace(SECRET, "''"), "webhooks[0].secret: the secret is empty", "openssl"),
        (WEBHOOK.replace(SECRET, f"!{SECRET}"), "hooks.yaml:4", "Remove it"),
        (WEBHOOK.replace(SECRET, f"*{SECRET}"), "hooks.yaml:4", "Write the part out"),
        (WEBHOOK.replace(SECRET, f'"{SECRET}'), "hooks.yaml:", "quotes"),
        (WEBHOOK.replace(SECRET, f"a: {SECRET}"), "hooks.yaml:4: not YAML", "quotes"),
        (WEBHOOK.replace("  - name", "    name"), "hooks.yaml:1: webhooks: it is no list", "[{name"),
        (f"webhooks: [{SECRET}]", "hooks.yaml:1: webhooks[0]: it is no webhook", "[{name"),
        (WEBHOOK + "    secret: again", "the key 'secret' is here again, it was on line 4", "Keep one."),
        (WEBHOOK + WEBHOOK.partition("\n")[2], "webhooks: there are several webhooks 'ci'", "name of its own"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place_and_without_secrets(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(tmp_path, text)

    assert message in refused.value.message
    assert hint in refused.value.hint
    assert SECRET not in str(refused.value)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file '.*/nothing.yaml'"):
        read_hooks(tmp_path / "nothing.yaml")
    with pytest.raises(NotFound, match=r"there is no file '.*/nokey'"):
        read(tmp_path, WEBHOOK.replace(f"secret: {SECRET}", "secret_file: nokey"))


def read(folder: Path, text: str) -> Hooks:
    file = folder / "hooks.yaml"
    file.write_text(text)
    return read_hooks(file)
