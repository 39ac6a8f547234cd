"""How the controller reaches the machines that carry out runs: the one seam to Ray.

`cluster/` implements it on Ray, `execution/` with processes of this machine. Everything here returns
at once; what happens is told through `report`, from any thread, and each attempt is told to its end:
exactly one `Ended` or `Lost`, whatever becomes of its node.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from raykqi.domain.order import Attempt, NodeShape, Order, Report
from raykqi.errors import RaykqiError

__all__ = ["Nodes", "ReportTo"]

ReportTo = Callable[[Report], None]


class Nodes(Protocol):
    @property
    def executor(self) -> str:
        """Who carries out the runs: another name after a restart that no run can have outlived."""

    def shapes(self) -> Sequence[NodeShape]:
        """The nodes there are now."""

    def open(
        self, report: ReportTo, changed: Callable[[], None], broken: Callable[[RaykqiError], None] | None = None
    ) -> None:
        """Begin to report; `changed` is called when nodes have come or gone.

        `broken` is told when nothing can be reached any more from this process, but could be from a new one.
        """

    def start(self, orders: Sequence[Order]) -> None:
        """Carry them out as soon as their resources are free."""

    def stop(self, attempt: Attempt, *, grace: float) -> None:
        """Ask the command to end, and make it end after `grace` seconds. Its `Ended` comes as always."""

    def store_again(self, attempt: Attempt) -> None:
        """Store the outputs once more and report `Ended` again: objects they relied on were collected."""

    def dismiss(self, attempt: Attempt) -> None:
        """Its end is in the journal: what was kept for it can go."""

    def adopt(self, attempts: Collection[Attempt]) -> None:
        """Take over what an earlier controller started on this executor; `Lost` is reported of what is not there."""

    def sweep(self, is_over: Callable[[Attempt], bool]) -> None:
        """Dismiss what an earlier controller had no time to: whatever is kept for attempts that are over."""

    def close(self, *, leave_running: bool) -> None:
        """Stop to report; unless `leave_running`, end everything that runs."""
