"""The HTTP API as `raykqi up` serves it, load generator included: `python -m benchmarks.api [--quick]`.

Ratios are taken in one run: a bare FastAPI route on the same Serve and ingress, and nginx on the same file.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import statistics
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx

import raykqi
from benchmarks.api_server import Served, bare_route, nginx, serve, server_memory
from benchmarks.catalog import Writer, make_batches
from benchmarks.http_load import download_seconds, make_request, run_load
from benchmarks.report import Figure, report

MIB = 1 << 20
REPLICAS = 1
READERS, WRITERS = 16, 32
DIFFERENT = 500  # data that are asked for in turn
FINDS = 31
PLAN = """
name: talk
command: |
  python3 -u -c "
  import random, time
  for _ in range({lines}):
      time.sleep(random.uniform(0.05, 0.35)); print(time.time())
  "
inputs:
- path: /in
  tags: [bench:log]
"""


class Rates(NamedTuple):
    """Requests a second. `first` is of answers that the server did not have from an earlier request."""

    bare: float
    ours: float
    first: float


def main(*, quick: bool) -> None:
    count = 100_000 if quick else 1_000_000
    size = (256 if quick else 1024) * MIB
    seconds = 2.0 if quick else 15.0
    lines = 20 if quick else 60
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        folder = Path(name)
        workspace = folder / "workspace"
        raykqi.init(workspace)
        Writer(workspace).append(make_batches(count, random.Random(7), []))
        with raykqi.open(workspace) as ws:
            ids = [data.id for data in ws.find(limit=DIFFERENT)]
            ws.snapshot()  # what serves makes two indexes more
        with serve(workspace, folder, replicas=REPLICAS) as served:
            log_ms = _log_ms(served, lines)
            rates = _get_rates(served, ids, seconds)
            find_ms = _find_ms(served)
            pushes = _pushes(served, seconds)
            big = folder / "big"
            _write(big, size)
            memory, data = _upload_growth(served, big)
            ratio = _download_ratio(served, big, data)
    figures = [
        Figure(
            "get_vs_bare",
            rates.ours / rates.bare,
            "≥ 0.5",
            f"GET one of {DIFFERENT} data, each asked for before, ÷ a bare route, {READERS} clients",
        ),
        Figure("get_s", rates.ours, "–", "the same, requests a second"),
        Figure("get_first_s", rates.first, "–", "each for the first time since the last commit, requests a second"),
        Figure("pushes_s", pushes, "≥ 150/s", f"durable small pushes over HTTP, {WRITERS} clients"),
        Figure("find_ms", find_ms, "≤ 60 ms", f"page of 50 by 3 tags in {count:,} data, p50"),
        Figure("upload_mem_mib", memory / MIB, "≤ 150 MiB", f"memory growth by an upload of {size // MIB} MiB"),
        Figure("log_ms", log_ms, "≤ 250 ms", "line written in a run → seen by the SSE client, p50"),
    ]
    if ratio is not None:
        what = f"{size // MIB} MiB over the API ÷ nginx, time"
        figures.insert(4, Figure("download_vs_nginx", ratio, "≤ 3", what))
    report(f"api: `raykqi up --replicas {REPLICAS}`, everything on this machine", figures)


def _get_rates(served: Served, ids: list[str], seconds: float) -> Rates:
    """Of the bare route and of ours, in turns, after each data was asked for once."""
    urls = [f"{served.url}/api/v1/projects/default/data/{id_}" for id_ in ids]
    body = httpx.get(urls[0], headers=_headers(served)).raise_for_status().content
    bare_url = bare_route(served, body, replicas=REPLICAS)
    bare_requests = [make_request("GET", f"{bare_url}/{id_}") for id_ in ids]
    our_requests = [make_request("GET", url, token=served.token) for url in urls]
    first = run_load(served.url, lambda: iter(our_requests), clients=READERS, seconds=300).require(200).rate
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(3):
        for requests, seen in zip((bare_requests, our_requests), rates, strict=True):
            load = run_load(served.url, lambda its=requests: itertools.cycle(its), clients=READERS, seconds=seconds / 2)
            seen.append(load.require(200).rate)
    return Rates(statistics.median(rates[0]), statistics.median(rates[1]), first)


def _find_ms(served: Served) -> float:
    chance = random.Random(11)
    times = []
    with httpx.Client(headers=_headers(served)) as client:
        for _ in range(FINDS):
            tags = [f"kind:k{chance.randrange(10)}", f"split:s{chance.randrange(10)}", "site:p0"]  # of 1,000 data
            began = time.perf_counter()
            url = f"{served.url}/api/v1/projects/default/data"
            answer = client.get(url, params={"tag": tags, "limit": 50}).raise_for_status()
            times.append(time.perf_counter() - began)
            if len(answer.json()["items"]) != 50:
                raise SystemExit(f"a page of {len(answer.json()['items'])} data, not 50")
    return statistics.median(times) * 1000


def _pushes(served: Served, seconds: float) -> float:
    url = f"{served.url}/api/v1/projects/default/data?tags=bench:push"
    headers = {"Content-Type": "application/x-tar"}

    def requests() -> Iterator[bytes]:
        for number in itertools.count():
            yield make_request(
                "POST", url, token=served.token, headers=headers, body=_tar(f"content {number}".encode())
            )

    load = run_load(served.url, requests, clients=WRITERS, seconds=seconds).require(201)
    stored = httpx.get(
        f"{served.url}/api/v1/projects/default/data/count", params={"tag": "bench:push"}, headers=_headers(served)
    ).json()["count"]
    if stored != load.statuses[201]:
        raise SystemExit(f"{load.statuses[201]} pushes were acknowledged, {stored} are there")
    return load.rate


def _tar(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _write(file: Path, size: int) -> None:
    piece = os.urandom(MIB)
    with open(file, "wb") as out:
        for number in range(size // MIB):
            out.write(number.to_bytes(8, "big") + piece[8:])


def _upload_growth(served: Served, file: Path) -> tuple[int, str]:
    """The most that all processes of the server hold during the upload, less what they held before; the data."""
    before = server_memory(served)
    most = before
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.1):
            most = max(most, server_memory(served))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with raykqi.connect(served.url, token=served.token) as ws:
            data = ws.push(file, ["bench:big"])
    finally:
        over.set()
        watcher.join()
    return most - before, data.id


def _download_ratio(served: Served, file: Path, data: str) -> float | None:
    url = f"{served.url}/api/v1/projects/default/data/{data}/files/{file.name}"
    size = file.stat().st_size
    with nginx(file.parent) as plain:
        if plain is None:
            print("nginx is not installed, so download_vs_nginx is left out")
            return None
        theirs, ours = [], []
        for _ in range(4):
            theirs.append(download_seconds(f"{plain}/{file.name}", size))
            ours.append(download_seconds(url, size, token=served.token))
        return statistics.median(ours) / statistics.median(theirs)


def _log_ms(served: Served, lines: int) -> float:
    delays = []
    with raykqi.connect(served.url, token=served.token) as ws, tempfile.TemporaryDirectory() as source:
        (Path(source) / "file").write_text("x")
        ws.apply(PLAN.format(lines=lines))
        data = ws.push(source, ["bench:log"])
        (run,) = ws.runs(input=data)
        rest = b""
        for piece in ws.logs(run, follow=True):
            now = time.time()
            *seen, rest = (rest + piece).split(b"\n")
            delays += [now - float(line) for line in seen if line[:1].isdigit()]
    if len(delays) != lines:
        raise SystemExit(f"{len(delays)} lines were seen, not {lines}")
    return statistics.median(delays) * 1000


def _headers(served: Served) -> dict[str, str]:
    return {"Authorization": f"Bearer {served.token}"}


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
