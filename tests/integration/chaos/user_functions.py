"""What users would write: the function plans of the workload."""

from __future__ import annotations

import os
import time
from pathlib import Path

import raykqi

SMALL = {"cpu": 0.5, "memory": 0}


@raykqi.plan(inputs={"given": ["to:quick"]}, outputs={"made": ["by:quick"]}, retries=3, backoff=0.1, resources=SMALL)
def quick(given: Path, made: Path) -> None:
    (made / "file").write_bytes((given / "file").read_bytes())


@raykqi.plan(inputs={"given": ["to:slow"]}, outputs={"made": ["by:slow"]}, retries=3, backoff=0.1, resources=SMALL)
def slow(given: Path, made: Path) -> None:
    time.sleep(0.4)
    (made / "file").write_bytes((given / "file").read_bytes())


@raykqi.plan(inputs={"given": ["to:flaky"]}, outputs={"made": ["by:flaky"]}, retries=3, backoff=0.1, resources=SMALL)
def flaky(given: Path, made: Path) -> None:
    if os.environ["RAYKQI_ATTEMPT"] == "1":
        raise SystemExit(1)
    (made / "file").write_bytes((given / "file").read_bytes())


@raykqi.plan(inputs={"given": ["to:surroundings"]}, outputs={"made": ["by:function"]}, resources=SMALL)
def surroundings(given: Path, made: Path) -> None:
    environment = "".join(f"{name}={value}\n" for name, value in os.environ.items())
    (made / "env").write_text(environment, encoding="utf-8")
    (made / "gpu").write_text(f"[{os.environ.get('CUDA_VISIBLE_DEVICES')}]", encoding="utf-8")


@raykqi.plan(inputs={"given": ["to:linger"]}, outputs={"made": ["by:linger"]}, resources=SMALL)
def linger(given: Path, made: Path, flag: str) -> None:
    """For as long as it takes, in its first attempt."""
    Path(flag).touch()
    if os.environ["RAYKQI_ATTEMPT"] == "1":
        time.sleep(600)
    (made / "file").write_bytes((given / "file").read_bytes())
