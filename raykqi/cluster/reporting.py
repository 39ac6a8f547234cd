"""What the controller is told, and the receipts that are looked for before anything is called lost."""

from __future__ import annotations

import asyncio

from raykqi.controller.nodes import ReportTo
from raykqi.domain.order import Attempt, Ended, Report
from raykqi.errors import RaykqiError
from raykqi.settings import Settings
from raykqi.storage.filesystem import open_store
from raykqi.storage.receipts import read_receipt

__all__ = ["Reporting"]


class Reporting:
    """Silent until it is opened and after it is closed."""

    def __init__(self, settings: Settings, workspace: str) -> None:
        self._settings = settings
        self._workspace = workspace
        self._report: ReportTo | None = None

    def open(self, report: ReportTo) -> None:
        self._report = report

    def close(self) -> None:
        self._report = None

    def tell(self, report: Report) -> None:
        if self._report is not None:
            self._report(report)

    async def end(self, attempt: Attempt, otherwise: Report) -> Report:
        """How an attempt ended of which nothing more is heard: as its receipt says, or `otherwise`."""
        return await asyncio.to_thread(self._receipt, attempt) or otherwise

    def _receipt(self, attempt: Attempt) -> Ended | None:
        try:
            store = open_store(self._workspace, self._settings)
            try:
                return read_receipt(store, attempt)
            finally:
                store.close()
        except RaykqiError:
            return None  # the attempt then counts as lost, and its run begins again
