"""The first words with a server: is it one of ours, and do we speak the same version?"""

from __future__ import annotations

import msgspec

from raykqi.client.asking import API
from raykqi.client.failures import not_a_server
from raykqi.client.transport import Transport
from raykqi.errors import VersionMismatch

__all__ = ["Info", "greet"]

SPOKEN = 1


class Info(msgspec.Struct, frozen=True):
    name: str
    version: str
    api: int
    workspace: str


def greet(transport: Transport, version: str) -> Info:
    info = transport.get(API, Info)
    if info.name != "raykqi":
        raise not_a_server(transport.url, f"it calls itself {info.name!r}")
    if info.api != SPOKEN:
        raise VersionMismatch(
            f"the server at {transport.url} is raykqi {info.version} and speaks API {info.api}; "
            f"this client is {version} and speaks {SPOKEN}",
            hint=f"pip install raykqi=={info.version}"
            if info.api > SPOKEN
            else f"Upgrade the server, or: pip install raykqi=={info.version}",
        )
    return info
