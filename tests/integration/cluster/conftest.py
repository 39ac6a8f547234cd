"""One small Ray for all tests of the room, and a workspace for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from raykqi.opening import create_workspace
from raykqi.settings import Settings

pytest.register_assert_rewrite("tests.integration.cluster.cluster_lab")

from tests.integration.cluster.cluster_lab import ClusterLab  # noqa: E402

__all__ = ["cluster_lab", "ray_here"]

SECRET = "only-for-ray"
# A node that does not answer is taken for dead sooner than Ray would by itself.
SOON = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 4,
}


@pytest.fixture(scope="package")
def ray_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="rq-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def ray_here(ray_folder: Path) -> Iterator[str]:
    """A Ray with more slots than this machine has cores: what is tested waits more than it works. Gives its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(ray_folder / "home"))
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_AUTH_TOKEN", SECRET)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")
        context = ray.init(
            address="local",
            namespace="raykqi",
            num_cpus=4,
            num_gpus=1,
            labels={"zone": "a"},
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=str(ray_folder),
            _system_config=SOON,
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture
def cluster_lab(ray_here: str, tmp_path: Path) -> Iterator[ClusterLab]:
    settings = Settings(user="tester", cache_dir=tmp_path / "cache", lock_timeout=20.0, storage_timeout=5.0)
    url = str(tmp_path / "workspace")
    create_workspace(url, settings)
    lab = ClusterLab(url, settings, tmp_path)
    yield lab
    lab.close()
