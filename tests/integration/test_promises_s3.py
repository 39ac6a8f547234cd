"""P1, P4, P5 on object storage that fails: retried, then a clear error, nothing half there, and afterwards it works.

A proxy in front of real servers orders the faults: answers 500 and 503, late answers, lost answers, cut
connections, and the death of the server, each in the middle of pushes, pulls and journal appends.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from raykqi.errors import StorageUnavailable
from raykqi.journal.log import OutcomeUnknown
from tests.faultproxy import Fault, FaultProxy, cut, first, lost_answer, no_connection, slow, status
from tests.integration.lab import Lab, check
from tests.servers import S3Server

FILES = {"big.bin": b"\x5a" * (1 << 20), "a.txt": b"alpha", "b/写真.txt": b"beta" * 100}
STAGES = ["blobs/", "packs/", "trees/", "journal/"]
FAULTS = {
    "500": status(500),
    "503": status(503),
    "slow": slow(0.2),
    "no connection": no_connection,
    "lost answer": lost_answer,
    "cut": cut,
}


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3) as proxy:
        yield proxy


@pytest.fixture
def s3_lab(proxy: FaultProxy, make_lab: Callable[..., Lab]) -> Iterator[Lab]:
    front = proxy.front
    lab = make_lab(url=front.url(uuid.uuid4().hex), s3_endpoint=front.endpoint, storage_timeout=1.0)
    yield lab
    lab.close()


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EITHER = [
    *(pytest.param("moto", fault, id=f"moto-{name}") for name, fault in FAULTS.items()),
    pytest.param("rclone", FAULTS["lost answer"], id="rclone-lost answer"),
    pytest.param("rclone", FAULTS["503"], id="rclone-503", marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("s3", "fault"), EITHER, indirect=["s3"])
def test_p4_what_passes_after_faults_at_every_stage_happens_once(
    s3_lab: Lab, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    opened = s3_lab.open()
    source = s3_lab.files("photos", FILES)
    orders = [proxy.order(fault, method="PUT", key=stage) for stage in STAGES]

    data = opened.ws.push(source, ["type:dataset"])
    orders += [proxy.order(fault, method="GET", key=stage) for stage in STAGES[:3]]
    opened.ws.pull(data.id, tmp_path / "copy")
    orders += [proxy.order(fault, method="PUT", key="journal/")]
    opened.ws.tag(data.id, add=["split:train"])

    assert [order.hits for order in orders] == [1] * 8
    assert content(tmp_path / "copy") == FILES
    opened = s3_lab.reopen()
    assert [(found.id, [str(tag) for tag in found.tags]) for found in opened.ws.find()] == [
        (data.id, ["split:train", "type:dataset"])
    ]
    check(opened, deep=True)


@pytest.mark.parametrize(
    ("s3", "stage"),
    [*(("moto", stage) for stage in STAGES), pytest.param("rclone", "journal/", marks=pytest.mark.soak)],
    indirect=["s3"],
)
def test_p5_storage_that_stays_away_during_a_push_gives_a_clear_error_and_nothing_half_there(
    s3_lab: Lab, proxy: FaultProxy, stage: str
) -> None:
    opened = s3_lab.open()
    source = s3_lab.files("photos", FILES)
    proxy.order(status(503), method="PUT", key=stage, times=None)

    with pytest.raises(StorageUnavailable) as failure:
        opened.ws.push(source, ["type:dataset"])

    assert "503" in str(failure.value)
    assert failure.value.hint
    assert opened.ws.find() == []
    proxy.clear()
    data = s3_lab.reopen().ws.push(source, ["type:dataset"])
    opened = s3_lab.reopen()
    assert [found.id for found in opened.ws.find()] == [data.id]
    check(opened, deep=True)


@pytest.mark.parametrize(("s3", "stage"), [("moto", stage) for stage in STAGES[:3]], indirect=["s3"])
def test_p5_storage_that_stays_away_during_a_pull_gives_a_clear_error_and_no_target(
    s3_lab: Lab, proxy: FaultProxy, tmp_path: Path, stage: str
) -> None:
    opened = s3_lab.open()
    data = opened.ws.push(s3_lab.files("photos", FILES))
    proxy.order(no_connection, method="GET", key=stage, times=None)

    with pytest.raises(StorageUnavailable) as failure:
        opened.ws.pull(data.id, tmp_path / "copy")

    assert failure.value.hint
    assert not (tmp_path / "copy").exists()
    proxy.clear()
    opened.ws.pull(data.id, tmp_path / "copy")
    assert content(tmp_path / "copy") == FILES


def test_p1_an_append_whose_answers_are_all_lost_is_acknowledged_once_or_said_to_be_unknown(
    s3_lab: Lab, proxy: FaultProxy
) -> None:
    opened = s3_lab.open()
    source = s3_lab.files("photos", FILES)
    proxy.order(lost_answer, method="PUT", key="journal/", times=None)
    acknowledged = unknown = 0

    try:
        opened.ws.push(source, ["type:dataset"])
        acknowledged = 1
    except OutcomeUnknown:
        unknown = 1

    proxy.clear()
    opened = s3_lab.reopen()
    assert len(opened.ws.find("type:dataset")) == 1
    assert acknowledged + unknown == 1
    check(opened)


@pytest.fixture
def mortal_lab(own_rclone: S3Server, make_lab: Callable[..., Lab]) -> Iterator[tuple[Lab, FaultProxy]]:
    with FaultProxy(own_rclone) as proxy:
        url, endpoint = own_rclone.url("lab"), proxy.front.endpoint
        lab = make_lab(url=url, s3_endpoint=endpoint, storage_timeout=20.0)
        yield lab, proxy
        lab.close()


def test_p1_a_server_that_is_killed_and_restarted_at_every_stage_costs_only_time(
    own_rclone: S3Server, mortal_lab: tuple[Lab, FaultProxy], tmp_path: Path
) -> None:
    lab, proxy = mortal_lab
    opened = lab.open()
    source = lab.files("photos", FILES)
    restarting = threading.Lock()

    def restart() -> None:
        with restarting:
            own_rclone.process.restart()

    orders = [proxy.order(first(restart), method="PUT", key=stage) for stage in STAGES]
    data = opened.ws.push(source, ["type:dataset"])
    orders += [proxy.order(first(restart), method="GET", key=stage) for stage in STAGES[:3]]
    opened.ws.pull(data.id, tmp_path / "copy")

    assert [order.hits for order in orders] == [1] * 7
    assert content(tmp_path / "copy") == FILES
    assert [found.id for found in opened.ws.find("type:dataset")] == [data.id]
    check(opened, deep=True)


@pytest.mark.parametrize("stage", ["blobs/", "journal/"])
def test_p1_a_server_that_dies_gives_a_clear_error_and_when_it_is_back_everything_is_as_it_was(
    own_rclone: S3Server, mortal_lab: tuple[Lab, FaultProxy], stage: str
) -> None:
    lab, proxy = mortal_lab
    lab.settings = replace(lab.settings, storage_timeout=1.0)
    opened = lab.open()
    kept = opened.ws.push(lab.files("kept", {"x.txt": b"kept"}), ["type:kept"])
    source = lab.files("photos", FILES)
    proxy.order(first(own_rclone.process.kill), method="PUT", key=stage)

    with pytest.raises(StorageUnavailable) as failure:
        opened.ws.push(source, ["type:dataset"])

    assert failure.value.hint
    own_rclone.process.start()
    assert [found.id for found in opened.ws.find()] == [kept.id]
    data = opened.ws.push(source, ["type:dataset"])
    assert [found.id for found in opened.ws.find()] == [data.id, kept.id]
    check(opened, deep=True)
