"""A workspace over HTTP: what `raykqi.connect` answers."""

from __future__ import annotations

from typing import NoReturn

import msgspec

from raykqi.client.access_verbs import AccessVerbs
from raykqi.client.asking import API
from raykqi.client.data_verbs import DataVerbs
from raykqi.client.endpoint_verbs import EndpointVerbs
from raykqi.client.greeting import Info, greet
from raykqi.client.lineage_verbs import LineageVerbs
from raykqi.client.plan_verbs import PlanVerbs
from raykqi.client.target import Target
from raykqi.client.transfer_verbs import TransferVerbs
from raykqi.client.transport import Transport
from raykqi.client.upkeep_verbs import UpkeepVerbs
from raykqi.errors import Conflict
from raykqi.settings import ServerSettings, Settings

__all__ = ["RemoteWorkspace"]


class Service(msgspec.Struct, frozen=True):
    is_served: bool


class RemoteWorkspace(DataVerbs, TransferVerbs, LineageVerbs, PlanVerbs, EndpointVerbs, AccessVerbs, UpkeepVerbs):
    """The verbs of a `Workspace`; what only makes sense where the store is says so. Safe to use from many threads."""

    def __init__(self, target: Target, settings: Settings, server: ServerSettings, *, version: str) -> None:
        transport = Transport(target, timeout=server.timeout, version=version)
        try:
            self._info: Info = greet(transport, version)
        except BaseException:
            transport.close()
            raise
        super().__init__(transport, target.project)
        self._settings = settings

    def __repr__(self) -> str:
        return f"<raykqi.RemoteWorkspace {self.url} {self._project}>"

    @property
    def url(self) -> str:
        return self._transport.url

    @property
    def id(self) -> str:
        return self._info.workspace

    @property
    def project_name(self) -> str:
        """To which everything belongs that is asked for or made here."""
        return self._project

    def close(self) -> None:
        """Give back the connections."""
        self._transport.close()

    def __enter__(self) -> RemoteWorkspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_served(self) -> bool:
        """Whether something runs the plans of this workspace now, so that what waits will not wait forever."""
        return self._transport.get(f"{API}/service", Service).is_served

    # What is done where the store is

    def serve(self, *_: object, **__: object) -> NoReturn:
        self._only_there("serve", "raykqi up")

    def serving(self, *_: object, **__: object) -> NoReturn:
        self._only_there("serving", "raykqi up")

    def work(self, *_: object, **__: object) -> NoReturn:
        self._only_there("work", "raykqi work")

    def serve_detached(self, *_: object, **__: object) -> NoReturn:
        self._only_there("serve_detached", "raykqi up --address")

    def stop_detached(self, *_: object, **__: object) -> NoReturn:
        self._only_there("stop_detached", "raykqi up --address … --stop")

    def _only_there(self, verb: str, program: str) -> NoReturn:
        raise Conflict(
            f"`{verb}` runs plans where the store is, and this is a connection to {self.url}",
            hint=f"Use `{program}` on a machine that reaches the store, or raykqi.open(…) there.",
        )
