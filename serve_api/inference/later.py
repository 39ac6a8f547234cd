"""The two routes of jobs: leave a request, and ask what became of it."""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec

from raykqi.errors import ModelFailed, UnknownId
from serve_api.inference import answers
from serve_api.inference.jobs import Found, kind_of
from serve_api.inference.replica import Replica
from serve_api.inference.request import Request

__all__ = ["answer_job", "leave_job"]

SOON = (b"retry-after", b"1")


async def leave_job(replica: Replica, request: Request, user: str) -> None:
    """`?kind=` says what the body is: for `predict`, `label` or `infer`."""
    kind = kind_of(parse_qs(request.query.decode("latin-1")).get("kind", ["predict"])[-1])
    body = await replica.reading.body(request.receive, request.headers, replica.spec.limits)
    id_ = await replica.jobs.take(kind, request.headers, body, user)
    location = f"{request.root}/jobs/{id_}"
    headers = [*request.own, *_endpoint(replica), (b"location", location.encode("latin-1", "replace")), SOON]
    said = {"id": id_, "status": "waiting", "endpoint": replica.name, "location": location}
    await answers.send_json(request.send, 202, headers, said)


async def answer_job(replica: Replica, request: Request) -> None:
    """The answer as the model gave it; 202 while it is waited for. `raykqi-job` says which of the two."""
    id_ = request.path.removeprefix("/jobs/")
    if not id_ or len(id_) > 64 or "/" in id_:
        raise UnknownId(f"there is no job {id_[:64]!r}", hint="Ask for the id that POST /jobs answered.")
    found = await replica.jobs.find(id_)
    job = found.job
    if job.status == "failed":
        raise ModelFailed(f"the job failed: {job.reason}", hint="The request is kept as data; leave it again.")
    headers = [*request.own, *_endpoint(replica), (b"raykqi-job", job.status.encode())]
    if job.status == "waiting":
        said = {"id": job.id, "status": job.status, "endpoint": replica.name, "created": job.created}
        await answers.send_json(request.send, 202, [*headers, SOON], said, is_head=request.is_head)
        return
    headers += [(b"raykqi-revision", b"%d" % job.revision), (b"raykqi-result", job.result.encode())]
    headers += [(name.encode(), value.encode("latin-1", "replace")) for name, value in found.headers.items()]
    await answers.send(request.send, 200, headers, _body(found), is_head=request.is_head)


def _body(found: Found) -> bytes:
    """Without its content, as when that was purged, the job itself."""
    return found.body if found.headers else msgspec.json.encode(found.job)


def _endpoint(replica: Replica) -> answers.Headers:
    return [(b"raykqi-endpoint", replica.name.encode("latin-1", "replace"))]
