"""What every test gets: no settings or credentials of the person who runs it, and no cache of theirs touched."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

# Shared machines stall for longer than any deadline that would mean something.
hypothesis.settings.register_profile("raykqi", deadline=None, database=None)
hypothesis.settings.load_profile("raykqi")


@pytest.fixture(scope="session", autouse=True)
def _isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("RAYKQI_", "AWS_")):
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        patch.setenv("AWS_CONFIG_FILE", str(home / "aws-config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "aws-credentials"))
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield
