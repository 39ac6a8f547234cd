"""Webhooks: every event they want, signed, in order, at least once, however long anybody is away."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time

import pytest

from raykqi.controller.outbox import position_key
from raykqi.domain.hooks import Hooks, Webhook
from tests.integration.processes import Child
from tests.integration.runs.bench import Bench
from tests.integration.runs.listening import Reply, Request, listening
from tests.integration.runs.serving import serve_until_killed

SECRET = "5ecret-t3xt"


def hooks(url: str, *events: str, plans: tuple[str, ...] = ()) -> Hooks:
    return Hooks(webhooks=(Webhook("ci", url, SECRET, events, plans),))


def test_events_are_told_as_they_are_signed_and_from_now_on(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan("true", outputs={"/out": ["b:1"]})
    with listening() as hook:
        bench.serve(hooks=hooks(hook.url("/ci"), "run.*", "tags.changed"))
        data = bench.push("a:1")
        bench.ws.tag(data, add=["c:1"])
        bench.drain()
        came = hook.until(lambda came: any(each.body["action"] == "run.ended" for each in came))

    run = bench.only_run()
    bodies = {each.body["action"]: each.body for each in came}
    assert [each.body["action"] for each in came if each.body["action"] in ("run.recorded", "run.created")] == [
        "run.recorded",
        "run.created",
    ]
    assert set(bodies) == {"run.recorded", "run.created", "run.ended", "tags.changed"}
    ended = bodies["run.ended"]
    assert (ended["event"]["run"], ended["event"]["status"], ended["event"]["exit"]["code"]) == (run.id, "done", 0)
    assert ended["workspace"] == bench.ws.url
    assert ended["at"] == ended["event"]["at"]
    for request in came:
        signed = f"{request.headers['X-Raykqi-Timestamp']}.".encode() + request.raw
        expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        assert request.headers["X-Raykqi-Signature"] == f"sha256={expected}"
        assert request.headers["X-Raykqi-Delivery"] == request.body["id"]
        assert abs(int(request.headers["X-Raykqi-Timestamp"]) - time.time()) < 60
    assert len({request.body["id"] for request in came}) == len(came)


def test_a_webhook_that_is_away_gets_everything_later_in_order(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan("true")
    with listening() as hook:
        port = hook.port
    server_hooks = hooks(f"http://127.0.0.1:{port}/", "run.created", "run.ended")
    bench.serve(hooks=server_hooks)
    for _ in range(5):
        bench.push("a:1")
    bench.drain()

    with listening(port) as hook:
        came = hook.until(lambda came: len(came) == 10)

    assert _positions(came) == sorted(_positions(came))
    assert {each.body["event"]["run"] for each in came} == {run.id for run in bench.ws.runs()}
    bench.check()


def test_nothing_is_skipped_when_it_refuses_one(plain_bench: Bench) -> None:
    bench, refusals = plain_bench, threading.Semaphore(2)

    def answer(request: Request) -> Reply:
        is_refused = request.body["action"] == "run.created" and refusals.acquire(blocking=False)
        return Reply(500 if is_refused else 200)

    bench.plan("true")
    with listening(answer=answer) as hook:
        bench.serve(hooks=hooks(hook.url(), "run.created", "run.ended"))
        bench.push("a:1")
        came = hook.until(lambda came: any(each.body["action"] == "run.ended" for each in came))

    assert [each.body["action"] for each in came] == ["run.created"] * 3 + ["run.ended"]
    assert len({each.body["id"] for each in came[:3]}) == 1


def test_what_was_not_taken_is_told_by_the_next_server(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.plan("true")
    with listening(answer=lambda _: Reply(503)) as refusing:
        port, url = refusing.port, refusing.url()
        child = Child(
            serve_until_killed,
            bench.lab.url,
            bench.lab.settings,
            bench.lab.folder / "runs",
            hooks(url, "run.recorded", "run.ended"),
        )
        assert child.next() == "serving"
        bench.push("a:1")
        bench.until(bench.only_run(), "done")
        refusing.until(lambda came: len(came) >= 1)
        child.kill()
        bench.push("a:1")  # while nobody serves

    with listening(port) as hook:
        bench.serve(hooks=hooks(url, "run.recorded", "run.ended"))
        bench.drain()
        came = hook.until(lambda came: len(came) == 4)
        bench.restart()
        bench.serve(hooks=hooks(url, "run.recorded", "run.ended"))
        bench.push("z:1")
        came = hook.until(lambda came: len(came) == 5)

    assert [each.body["action"] for each in came] == [
        "run.recorded",
        "run.ended",
        "run.recorded",
        "run.ended",
        "run.recorded",
    ]
    assert _positions(came) == sorted(set(_positions(came)))
    bench.check()


def test_a_new_webhook_is_not_told_of_the_past(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.push("a:1")
    with listening() as hook:
        bench.serve(hooks=hooks(hook.url()))
        later = bench.push("b:1")
        came = hook.until(lambda came: len(came) >= 1)

    assert came[0].body["action"] == "run.recorded"
    assert [out["data"] for out in came[0].body["event"]["outputs"]] == [later.id]


def test_only_events_of_the_plans_that_are_named_are_told(plain_bench: Bench) -> None:
    bench = plain_bench
    bench.ws.apply("name: train\n" + bench.text("true", outputs={"/out": ["m:1"]}))
    bench.ws.apply("name: other\n" + bench.text("exit 0"))
    with listening() as hook:
        bench.serve(hooks=hooks(hook.url(), plans=("train",)))
        bench.push("a:1")
        bench.drain()
        (trained,) = bench.ws.runs(plan="train")
        bench.ws.tag(bench.output(trained, "out"), add=["best:yes"])
        came = hook.until(lambda came: any(each.body["action"] == "tags.changed" for each in came))

    assert {each.body["event"].get("run", trained.id) for each in came} == {trained.id}
    assert [each.body["action"] for each in came if each.body["action"] != "runs.moved"] == [
        "run.created",
        "run.ended",
        "tags.changed",
    ]


def test_several_webhooks_do_not_wait_for_each_other(plain_bench: Bench) -> None:
    bench, let_go = plain_bench, threading.Event()

    def answer(request: Request) -> Reply:
        if request.path == "/slow":
            let_go.wait(30)
        return Reply()

    with listening(answer=answer) as hook:
        both = [Webhook(name, hook.url(f"/{name}"), SECRET, ("run.recorded",)) for name in ("slow", "quick")]
        bench.serve(hooks=Hooks(webhooks=tuple(both)))
        for _ in range(3):
            bench.push("a:1")
        hook.until(lambda came: [each.path for each in came].count("/quick") == 3)
        assert [each.path for each in hook.requests].count("/slow") <= 1
        let_go.set()
        hook.until(lambda came: [each.path for each in came].count("/slow") == 3)


def test_secrets_are_in_nothing_that_is_written(plain_bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench = plain_bench
    caplog.set_level(logging.DEBUG)
    with listening(answer=lambda _: Reply(500, SECRET.encode())) as hook:
        url = hook.url("/x?key=h1dden").replace("http://", "http://user:h1dden@")
        bench.serve(hooks=hooks(url, "run.recorded"))
        bench.push("a:1")
        hook.until(lambda came: len(came) == 2)
        bench.stop_serving()

    assert "webhook ci answered 500" in caplog.text
    written = b"".join(path.read_bytes() for path in bench.lab.root.rglob("*") if path.is_file())
    for secret in (SECRET, "h1dden"):
        assert secret not in caplog.text
        assert secret.encode() not in written


def test_hashes_and_keys_of_requests_are_not_told(plain_bench: Bench) -> None:
    ws = plain_bench.ws
    with listening() as hook:
        plain_bench.serve(hooks=hooks(hook.url("/ci")))
        ws.add_user("hana", password="eight horses, one battery")
        ws.issue_token("ci", user="hana")
        ws.once(key="k-1", fingerprint="f").create_project("lab")
        ws.set_member("hana", "viewer", project="lab")
        came = hook.until(lambda came: any(each.body["action"] == "member.set" for each in came))

    assert [each.body["action"] for each in came] == ["user.added", "token.issued", "project.made", "member.set"]
    assert [each.body["event"].get("password", "") for each in came] == [""] * 4
    assert [each.body["event"].get("digest", "") for each in came] == [""] * 4


def test_how_far_it_has_come_is_kept_with_the_workspace(plain_bench: Bench) -> None:
    bench = plain_bench
    with listening() as hook:
        bench.serve(hooks=hooks(hook.url(), "run.recorded"))
        bench.push("a:1")
        (told,) = hook.until(lambda came: len(came) == 1)
        bench.stop_serving()

    kept = json.loads(bench.opened.parts.store.get(position_key("ci")))
    assert (kept["seq"], kept["index"]) >= _positions([told])[0]
    bench.check()


def _positions(came: list[Request]) -> list[tuple[int, int]]:
    pairs = [each.body["id"].split("-") for each in came]
    return [(int(seq), int(index)) for seq, index in pairs]
