"""Until an endpoint answers with what was deployed, telling how it goes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import typer

from cli.live import LiveLine
from cli.output import harmless
from cli.serve_text import address_of, endpoint_record, next_step, one_line
from cli.session import Session
from cli.values import show_duration
from raykqi.domain.endpoint import ANSWERING

if TYPE_CHECKING:
    from cli.session import AnyWorkspace
    from raykqi.domain.endpoint import Endpoint, Revision

__all__ = ["conclude", "wait_until_live"]

LOOKS = 1.0  # seconds between two looks, when nothing is heard
DECIDES = 10.0  # seconds in which whoever serves says what a revision waits for
OVER = ("failed", "withdrawn", "retired")


def wait_until_live(
    session: Session, workspace: AnyWorkspace, deployed: Endpoint, seconds: float
) -> tuple[Endpoint, str]:
    """The endpoint as it is then, and why it does not answer with the revision that was on its way, or nothing."""
    began, told = time.monotonic(), ""
    changed = threading.Event()
    with LiveLine() as line, workspace.watching(changed.set):
        wanted: Revision | None = deployed.coming
        while True:
            changed.clear()
            now = workspace.endpoint(deployed.name)
            wanted = _same(now, wanted) if wanted else now.coming or now.live
            status = wanted.status if wanted else "waiting"
            if wanted and status in ANSWERING:
                return now, ""
            if wanted and status in OVER:
                return now, f"revision {wanted.number} is {status}: {wanted.reason or 'no reason was given'}"
            spent = time.monotonic() - began
            if wanted and status == "waiting" and (wanted.reason or spent >= DECIDES):
                return now, f"revision {wanted.number} waits {wanted.reason.removeprefix('waits ') or 'for its gate'}"
            if wanted is None:
                return now, now.reason or "there is no data with its tags yet"
            said = f"{deployed.name}  revision {wanted.number} is {status}" + (f": {now.reason}" if now.reason else "")
            if line.is_seen:
                line.show(f"{said}  {show_duration(spent)}")
            elif said != told and not session.json:
                session.out.at_once(harmless(said))
            told = said
            if spent >= seconds:
                return now, f"revision {wanted.number} is still {status} after {show_duration(spent)}"
            changed.wait(min(LOOKS, seconds - spent))


def conclude(session: Session, workspace: AnyWorkspace, waited: tuple[Endpoint, str]) -> None:
    """Exits with 1 when what was deployed does not answer; that it waits for somebody or for data is no failure."""
    endpoint, why = waited
    current = next((each for each in endpoint.revisions if each.status in ANSWERING), None)
    waits = endpoint.coming is None and not endpoint.revisions
    waits = waits or (endpoint.coming is not None and endpoint.coming.status == "waiting")
    if session.json:
        session.out.json(endpoint_record(endpoint) | {"why": why})
    elif why:
        session.out.complain(harmless(f"{endpoint.name}  {one_line(why)}"))
        if current:
            session.out.complain(f"revision {current.number}, data {current.data}, goes on answering")
        session.out.note(f"Next: {next_step(endpoint)}")
    elif current:
        newest = endpoint.coming or current
        address = address_of(workspace, endpoint.name)
        where = f"  {address}" if address else ""
        session.out.line(f"{endpoint.name}  revision {newest.number}, data {newest.data}, is {newest.status}{where}")
        session.out.note(f"Next: {next_step(endpoint)}")
    if why and not waits:
        raise typer.Exit(1)


def _same(endpoint: Endpoint, wanted: Revision) -> Revision:
    """The revision as it is now; one that was taken back before it began stands for nothing else."""
    return next((each for each in endpoint.revisions if each.number == wanted.number), wanted)
