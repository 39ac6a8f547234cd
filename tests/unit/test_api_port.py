"""Two APIs that start at the same time never get the same port."""

from __future__ import annotations

import socket

import pytest

from raykqi.errors import Conflict
from raykqi.workspace.api_port import held_port

LOCAL = "127.0.0.1"


def test_a_port_that_another_start_holds_is_taken_although_nobody_listens_yet() -> None:
    with held_port(LOCAL, 0, usual=0) as port:
        with pytest.raises(Conflict, match=f"port {port} of 127.0.0.1 cannot be used"), held_port(LOCAL, port, usual=0):
            pass
        with held_port(LOCAL, None, usual=port) as other:
            assert other not in (port, 0)

    with held_port(LOCAL, port, usual=0) as again:
        assert again == port


def test_a_port_on_which_somebody_listens_is_taken() -> None:
    with socket.socket() as listener:
        listener.bind((LOCAL, 0))
        listener.listen()
        port = listener.getsockname()[1]

        with pytest.raises(Conflict, match="cannot be used: Address already in use"), held_port(LOCAL, port, usual=0):
            pass
        with held_port(LOCAL, None, usual=port) as other:
            assert other != port


def test_what_is_held_can_be_listened_on_by_who_shares_it() -> None:
    with held_port(LOCAL, 0, usual=0) as port, socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((LOCAL, port))
        listener.listen()
        with socket.create_connection((LOCAL, port), timeout=5) as client:
            assert client.getpeername() == (LOCAL, port)
