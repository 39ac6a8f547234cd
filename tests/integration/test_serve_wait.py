"""`raykqi serve deploy` waits: until what was deployed answers, or until it is clear that it will not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import typer

from cli.serve_wait import conclude, wait_until_live
from cli.session import Session
from raykqi.domain.endpoint import Gate, RevisionStatus
from tests.integration.shop import PROD, Shop, shop

__all__ = ["shop"]  # the fixture

WITHIN = 20.0  # seconds


def meanwhile(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_it_ends_when_the_revision_answers(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    deployed = shop.ws.deploy("digits", data=shop.model())
    other = meanwhile(lambda: shop.move(1, "loading", "live"))

    endpoint, why = wait_until_live(Session(), shop.ws, deployed, WITHIN)
    other.join()

    assert (why, endpoint.live and endpoint.live.number) == ("", 1)
    conclude(Session(), shop.ws, (endpoint, why))
    assert capsys.readouterr().out.splitlines()[-1].startswith("digits  revision 1, data ")


@pytest.mark.parametrize(
    ("ways", "reason", "why"),
    [
        (("loading", "failed"), "it is no model", "revision 2 is failed: it is no model"),
        (("loading", "canary", "withdrawn"), "3 of 20 requests failed", None),
        (("loading", "withdrawn"), "superseded", "revision 2 is withdrawn: superseded"),
    ],
)
def test_a_failure_is_told_with_its_reason_and_what_goes_on_answering(
    shop: Shop,
    ways: tuple[RevisionStatus, ...],
    reason: str,
    why: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = shop.model()
    shop.ws.deploy("digits", data=first)
    shop.move(1, "loading", "live")
    deployed = shop.ws.change_endpoint("digits", data=shop.model())
    shop.move(2, *ways, reason=reason)

    waited = wait_until_live(Session(), shop.ws, deployed, WITHIN)

    assert waited[1] == (why or f"revision 2 is withdrawn: {reason}")
    with pytest.raises(typer.Exit) as ended:
        conclude(Session(), shop.ws, waited)
    assert ended.value.exit_code == 1
    assert f"revision 1, data {first.id}, goes on answering" in capsys.readouterr().err


def test_what_waits_for_somebody_is_no_failure(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.model(*PROD)
    deployed = shop.ws.deploy("digits", tags=PROD, gate=Gate(approvers=("hanako",)))
    shop.move(1, "waiting", "waiting", reason="waits for the word of hanako")

    waited = wait_until_live(Session(), shop.ws, deployed, WITHIN)

    assert waited[1] == "revision 1 waits for the word of hanako"
    conclude(Session(), shop.ws, waited)
    assert "revision 1 waits for the word of hanako" in capsys.readouterr().err


def test_without_any_match_it_says_so_at_once(shop: Shop) -> None:
    deployed = shop.ws.deploy("digits", tags=PROD)

    assert wait_until_live(Session(), shop.ws, deployed, WITHIN)[1] == "there is no data with its tags yet"


def test_time_runs_out(shop: Shop) -> None:
    deployed = shop.ws.deploy("digits", data=shop.model())

    assert wait_until_live(Session(), shop.ws, deployed, 0.2)[1] == "revision 1 is still loading after 0:00"
