"""The connection of this process to Ray, which goes by way of one node and is of no use when that node has died."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

import ray

from raykqi.cluster.shapes import node_ids

__all__ = ["Connection"]

_worker: Any = ray._private.worker


class Connection:
    """The one there is; `session` names the cluster, until it has forgotten everything."""

    def __init__(self) -> None:
        self._look()

    def is_cut(self) -> bool:
        """Whether the cluster lives on without the node. Raises when the cluster does not answer."""
        return self.is_dead() or self._node not in node_ids()

    def is_dead(self) -> bool:
        """Whether the process of the node, on this machine, has ended or given way to another."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(self._socket)
            return os.stat(self._socket).st_ino != self._inode
        except OSError:
            return True

    def renew(self) -> None:
        """By way of another node of this machine. Raises when there is none yet."""
        ray.shutdown()
        ray.init(
            address=self._address,
            namespace=self._namespace,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
        )
        self._look()

    def _look(self) -> None:
        context = ray.get_runtime_context()
        self.session: str = context.get_session_name()
        self._address: str = context.gcs_address
        self._namespace: str = context.namespace
        self._node: str = context.get_node_id()
        self._socket = str(_worker.global_worker.node.raylet_socket_name)
        self._inode = os.stat(self._socket).st_ino
