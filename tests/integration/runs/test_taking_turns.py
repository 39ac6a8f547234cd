"""Whoever runs the plans of a workspace in object storage and those who push to it commit in turns."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from raykqi.domain.resources import Resources
from raykqi.execution.local_nodes import LocalNodes
from tests.faultproxy import FaultProxy
from tests.integration.lab import Lab, check
from tests.integration.test_races import behind, first, ops
from tests.servers import S3Server


def test_a_lost_race_does_not_stop_who_runs_the_plans(moto: S3Server, make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(url=moto.url(uuid.uuid4().hex), s3_endpoint=moto.endpoint)
    source = lab.files("photos", {"a.txt": b"alpha"})
    rival = lab.open(user="bob")
    rival.ws.push(source, ["op:first"])
    with FaultProxy(moto) as proxy:
        slower = behind(proxy, lab)
        serving = slower.open(user="alice")
        serving.ws.serve(LocalNodes(slower.settings, slower.folder / "runs", total=Resources()))
        overtaking = proxy.order(
            first(lambda: rival.ws.push(source, ["op:rival"])), method="PUT", key="/journal/00000000000000000002"
        )

        serving.ws.push(source, ["op:late"])

        assert overtaking.hits == 1
        assert ops(serving) == ["op:first", "op:rival", "op:late"]
        check(serving)
        slower.close()
