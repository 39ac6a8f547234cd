"""A lab for each test: a workspace on this machine that it may open, close, break and open again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from raykqi.opening import create_workspace
from raykqi.settings import Settings
from raykqi.workspace import Workspace

pytest.register_assert_rewrite("tests.integration.lab", "tests.comparison")

from tests.integration.lab import Anywhere, Lab, Opened  # noqa: E402

__all__ = ["anywhere", "lab", "make_lab", "shared_lab"]


@contextmanager
def _making_labs(within: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def make(name: str = "lab", *, url: str = "", **changes: Any) -> Lab:
        folder = within / name
        settings = Settings(user="tester", cache_dir=folder / "cache", lock_timeout=20.0, storage_timeout=5.0)
        settings = replace(settings, **changes)
        lab = Lab(url or str(folder / "workspace"), settings, folder)
        create_workspace(lab.url, settings)
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture
def make_lab(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    with _making_labs(tmp_path) as make:
        yield make


@pytest.fixture(scope="module")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for all tests of a module that change nothing in it."""
    with _making_labs(tmp_path_factory.mktemp("shared")) as make:
        yield make()


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    return make_lab()


@pytest.fixture(params=["embedded", "http"])
def anywhere(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Anywhere]:
    """What a test does with a workspace must come out the same over HTTP."""
    with ExitStack() as undo:

        def there(opened: Opened) -> Opened:
            from tests.integration.over_http import over_http

            if request.param == "embedded":
                return opened
            remote = undo.enter_context(over_http(opened.ws, opened.ws.me().user, lab.folder))
            return Opened(cast("Workspace", remote), opened.parts)

        yield there
