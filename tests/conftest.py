"""What every test gets: no settings or credentials of the person who runs it, and no cache of theirs touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests import servers
from tests.examples import MORE
from tests.servers import S3Server

# Shared machines stall for longer than any deadline that would mean something.
hypothesis.settings.register_profile("raykqi", deadline=None, database=None)
hypothesis.settings.register_profile(MORE, deadline=None, database=None, max_examples=1_000)
hypothesis.settings.load_profile("raykqi")


# One Ray after another: two of them beside each other would take the cores from what they run.
WITH_RAY = ("integration/cluster/", "integration/chaos/", "e2e/cli/test_cli_up", "e2e/cli/test_cli_team.py")
WITH_RAY += ("e2e/test_quickstart.py", "e2e/cli/test_cli_run")


class OneRayAtATime(LoadScopeScheduling):
    """Each test for itself, but those with Ray all on one worker. The order is that of the files."""

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if nodeid.removeprefix("tests/").startswith(WITH_RAY) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneRayAtATime | None:
    return OneRayAtATime(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What failed last time but is no test, such as collecting them, would have every test run again."""
    failed = config.cache.get("cache/lastfailed", {}) if config.getoption("lf", False) and config.cache else {}
    if failed and not failed.keys() & {item.nodeid for item in items}:
        raise pytest.UsageError(f"what failed last time is none of these tests: {', '.join(failed)}")


def pytest_itemcollected(item: pytest.Item) -> None:
    if hypothesis.is_hypothesis_test(getattr(item, "function", None)):
        item.add_marker(pytest.mark.examples)


@pytest.fixture(scope="session", autouse=True)
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("RAYKQI_", "AWS_")):
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        patch.setenv("AWS_CONFIG_FILE", str(home / "aws-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "aws-credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session")
def _moto() -> Iterator[S3Server]:
    if why := servers.missing():
        pytest.skip(why)
    with servers.moto_server() as server:
        yield server


@pytest.fixture(scope="session")
def _rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if why := servers.missing():
        pytest.skip(why)
    with servers.rclone_server(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def moto(_moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 server that honours If-None-Match, shared by the tests: use a prefix of your own and do not kill it."""
    return _credentials(_moto, monkeypatch)


@pytest.fixture
def rclone(_rclone: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """An S3 server that ignores If-None-Match, shared by the tests: use a prefix of your own and do not kill it."""
    return _credentials(_rclone, monkeypatch)


@pytest.fixture(params=["moto", "rclone"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    """Each kind of S3 server in turn."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def own_rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An rclone server of this test alone, which it may kill and restart: `own_rclone.process.restart()`."""
    if why := servers.missing():
        pytest.skip(why)
    with servers.rclone_server(tmp_path / "rclone") as server:
        yield _credentials(server, monkeypatch)


def _credentials(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    return server
