"""Endpoints from elsewhere: the verbs of a client do and answer what those of the workspace do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raykqi.client import RemoteWorkspace
from raykqi.domain.endpoint import Batching, Canary, EndpointSpec, Scale
from raykqi.errors import Conflict, Forbidden, InvalidInput, ModelFailed, UnknownId
from tests.integration.over_http import connected, over_http
from tests.integration.shop import PROD, Shop, shop

__all__ = ["shop"]  # the fixture


@pytest.fixture
def remote(shop: Shop) -> Iterator[RemoteWorkspace]:
    with over_http(shop.ws, "mika", shop.lab.folder) as found:
        yield found


def test_what_is_deployed_there_is_found_here_and_the_other_way(shop: Shop, remote: RemoteWorkspace) -> None:
    model = shop.model(*PROD)

    made = remote.deploy("digits", tags=PROD, replicas=(0, 3), canary=0.1)

    assert shop.ws.endpoint("digits") == made == remote.endpoint("digits")
    assert made.creator == "mika"
    assert made.spec.scale == Scale(0, 3)
    assert [each.data for each in made.revisions] == [model.id]
    shop.ws.deploy("other", data=model)
    assert [each.name for each in remote.endpoints()] == ["digits", "other"]
    assert [each.name for each in remote.endpoints(limit=1)] == ["digits"]


def test_a_short_id_of_a_model_is_enough(shop: Shop, remote: RemoteWorkspace) -> None:
    model = shop.model()

    assert remote.deploy("digits", data=model.id[:23]).spec.binding.data == model.id


def test_changes_leave_what_they_do_not_name(shop: Shop, remote: RemoteWorkspace) -> None:
    remote.deploy("digits", tags=PROD, batch=8, canary=0.1)

    changed = remote.change_endpoint("digits", batch=16, public=True)

    assert changed.spec.batching == Batching(16)
    assert changed.spec.canary == Canary(0.1)
    assert changed.spec.is_public
    assert remote.change_endpoint("digits", canary=0.0).spec.canary == Canary()
    assert remote.change_endpoint("digits") == shop.ws.endpoint("digits")


def test_a_revision_is_promoted_rolled_back_paused_and_followed(shop: Shop, remote: RemoteWorkspace) -> None:
    first, second = shop.model(*PROD), shop.model()
    remote.deploy("digits", tags=PROD)
    shop.move(1, "loading", "live")
    shop.ws.tag(second, add=PROD)
    shop.move(2, "loading", "canary")

    assert remote.promote("digits").live == shop.ws.endpoint("digits").revisions[1]
    back = remote.rollback("digits", first.id[:23], "worse")
    assert (back.is_pinned, back.coming and back.coming.data) == (True, first.id)
    assert remote.follow_tags("digits").is_pinned is False
    paused = remote.pause("digits", "bad data")
    assert (paused.is_paused, paused.reason) == (True, "bad data")
    with pytest.raises(Conflict, match="is paused"):
        remote.wait_endpoint("digits", timeout=20)
    assert remote.resume("digits").is_paused is False
    remote.remove_endpoint("digits", "over")
    with pytest.raises(UnknownId):
        shop.ws.endpoint("digits")


def test_waiting_ends_with_what_became_of_it(shop: Shop, remote: RemoteWorkspace) -> None:
    remote.deploy("digits", data=shop.model())

    with pytest.raises(TimeoutError, match="revision 1 is loading"):
        remote.wait_endpoint("digits", timeout=0.2)
    shop.move(1, "loading", "live")
    live = remote.wait_endpoint("digits", timeout=20).live
    assert live is not None
    assert live.number == 1

    remote.change_endpoint("digits", data=shop.model())
    shop.move(2, "loading", "failed", reason="it is no model")
    with pytest.raises(ModelFailed, match="revision 2 of endpoint digits is failed: it is no model"):
        remote.wait_endpoint("digits", timeout=20)


def test_who_saw_a_bad_data_is_told(shop: Shop, remote: RemoteWorkspace) -> None:
    bad = shop.model()
    model = shop.model(of=bad)
    remote.deploy("digits", data=model)

    assert [each.name for each in remote.affected_endpoints(bad)] == ["digits"]
    assert remote.affected_endpoints(shop.model()) == []
    assert remote.affected_endpoints(bad.id[:23]) == shop.ws.affected_endpoints(bad)
    lineage = remote.impact(bad)
    assert [(node.name, node.status) for node in lineage.endpoints] == [("digits", "waiting")]
    assert lineage == shop.ws.impact(bad)


def test_a_token_of_an_endpoint_opens_no_workspace(shop: Shop, remote: RemoteWorkspace) -> None:
    remote.deploy("digits", tags=PROD)
    token, text = remote.issue_token("shop", endpoint="digits")

    assert (token.endpoint, token.project) == ("digits", "default")
    assert shop.ws.tokens("mika")[0] == token
    narrow = connected(remote.url, text, shop.lab.folder)
    with narrow, pytest.raises(Forbidden, match="may ask the endpoint digits and do nothing else"):
        narrow.endpoints()
    with pytest.raises(InvalidInput, match="has no role"):
        remote.issue_token("shop", endpoint="digits", role="viewer")
    with pytest.raises(UnknownId, match="no endpoint 'nothing'"):
        remote.issue_token("shop", endpoint="nothing")


def test_what_is_wrong_is_told_before_and_after_it_is_sent(shop: Shop, remote: RemoteWorkspace) -> None:
    with pytest.raises(InvalidInput, match="'Digits' is no name"):
        remote.deploy("Digits", tags=PROD)
    with pytest.raises(InvalidInput, match="nothing is called 'replica'"):
        remote.deploy("digits", tags=PROD, replica=2)  # type: ignore[call-arg]
    with pytest.raises(UnknownId):
        remote.deploy("digits", data="01939c1c-7d1e-7b0a-9f41-0d9a6c1e2f33")
    with pytest.raises(UnknownId):
        remote.job("01939c1c-7d1e")
    assert remote.endpoints() == []
    assert remote.deploy("digits", spec=EndpointSpec(shop.ws.deploy("x", tags=PROD).spec.binding)).spec.surge
    assert remote.jobs("digits") == []
