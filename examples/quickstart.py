"""The first minute with raykqi: plans that run by themselves when data is pushed, where a result came from, and
the model that came of it answering over HTTP.

    make quickstart        or        python -m examples.quickstart

The plans are in examples/digits.py. Everything happens in ./.quickstart, which is made anew each time.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx

import raykqi
from examples import digits

HERE = Path(".quickstart")
COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ
MARKS = {"done": "✔", "failed": "✘"}


def main() -> None:
    began = time.perf_counter()
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    url = HERE / "workspace"

    step("A workspace is one folder (or one s3:// prefix)", f"raykqi init {url}")
    raykqi.init(url)

    with raykqi.open(url) as ws, ExitStack() as undo:
        step(
            "Plans say which data makes what run: here Python functions, else any command in YAML",
            "raykqi plan apply examples/digits.py",
        )
        ws.apply(digits.prepare)
        for gamma in (0.01, 0.05):
            ws.apply(digits.train, params={"gamma": gamma})
        ws.apply(digits.evaluate)
        say(
            "prepare   takes type:digits                         makes type:dataset split:train and split:test\n"
            "train     takes type:dataset split:train            makes type:model; applied with two values of gamma\n"
            "evaluate  takes type:model, type:dataset split:test makes type:metrics"
        )

        step(
            "Push real handwritten digits: that is all that starts the plans",
            "raykqi data push digits.csv.gz -t type:digits",
        )
        scans = ws.push(handwritten_digits(), ["type:digits", "source:uci"], name=True)
        say(f"data {scans.id}: {scans.tree.size:,} bytes, and {len(ws.runs(status='waiting'))} run waits for it")

        step("Run what waits, and what comes of it, on Ray, with the API beside it", "raykqi up")
        server = undo.enter_context(ws.hosting())
        finished = run_all(ws, progress(ws), timeout=120)
        say("nothing is left to run" if finished else "not all has ended: `raykqi run find` says why")

        step("What came out?", "raykqi data find -t type:metrics")
        results = [(json.loads(read(ws, data, "metrics.json")), data) for data in ws.find("type:metrics")]
        results.sort(key=lambda result: result[0]["accuracy"])
        for metrics, data in results:
            accuracy = f"accuracy {metrics['accuracy']:.4f} on {metrics['digits']} digits it never saw"
            say(f"gamma {metrics['gamma']:<6}  {accuracy}   data {data.id}")
        best = results[-1][1]

        step("Where did the best of them come from?", f"raykqi lineage show {best.id[:18]} -o lineage.svg")
        lineage = ws.lineage(best.id, way="up")
        say(raykqi.draw(lineage))
        (HERE / "lineage.svg").write_text(raykqi.draw(lineage, "svg"), encoding="utf-8")
        say(f"the picture: {HERE / 'lineage.svg'}")

        model = next(given.data for given in ws.run(best.upstream.run).inputs if given.name == "model")
        step("Let its model answer over HTTP", f"raykqi serve deploy digits --data {model[:18]} --public")
        ws.deploy("digits", data=model, public=True, cpu=0)
        ws.wait_endpoint("digits", timeout=120)
        image, digit = some_digit(scans_of(ws, scans))
        url_to_ask = f"{server.url}/endpoints/digits/predict/label"
        say(f"{digit}\n$ curl --data-binary @digit.png -H 'Content-Type: image/png' {url_to_ask}")
        (HERE / "digit.png").write_bytes(image)
        answer = httpx.post(url_to_ask, content=image, headers={"Content-Type": "image/png"}).raise_for_status()
        say(f"{answer.text}\nby the model {answer.headers['raykqi-data']}, which came to be so:")
        say(raykqi.draw(ws.lineage(answer.headers["raykqi-data"], way="up")))

        step("Is everything as promised?", "raykqi fsck")
        say("clean" if ws.fsck(deep=True).clean else "something is wrong: run `raykqi fsck`")
        run = ws.runs(plan="evaluate", limit=1)[0]

    print(
        f"\nDone in {time.perf_counter() - began:.1f} s. Next, in this workspace:\n"
        f"  . .venv/bin/activate; export RAYKQI_WORKSPACE={url}\n"
        f"  raykqi run find                           what was run\n"
        f"  raykqi run show {run.id[:18]}        one run: its data, why it ran, what it took\n"
        f"  raykqi run logs {run.id[:18]}        what it said\n"
        f"  raykqi plan graph                         which plan feeds which\n"
        f"  raykqi up                                 the endpoint comes back by itself\n"
        f"  raykqi data tag {scans.id[:18]} --remove type:digits --add type:digits --dry-run\n"
        f"  raykqi --help                             everything else; guides are in docs/guide"
    )


def run_all(ws: raykqi.Workspace, tick: Callable[[], None], *, timeout: float) -> bool:
    """Until every run has ended, looking whenever something has changed."""
    changed = threading.Event()
    until = time.monotonic() + timeout
    with ws.watching(changed.set):
        while True:
            changed.clear()
            tick()
            if all(run.status in ("done", "failed", "invalidated") for run in ws.runs()):
                return True
            if not changed.wait(until - time.monotonic()):
                return False


def scans_of(ws: raykqi.Workspace, scans: raykqi.Data) -> list[list[float]]:
    lines = gzip.decompress(read(ws, scans, "digits.csv.gz")).decode().splitlines()
    return [[float(value) for value in line.split(",")] for line in lines[:10]]


def some_digit(scans: list[list[float]]) -> tuple[bytes, str]:
    """One of them as a PNG, and as one can see it here."""
    from PIL import Image

    *pixels, _ = scans[3]
    picture = Image.new("L", (8, 8))
    picture.putdata([int(value * 255 / 16) for value in pixels])
    file = io.BytesIO()
    picture.save(file, "PNG")
    rows = [pixels[at : at + 8] for at in range(0, 64, 8)]
    return file.getvalue(), "\n".join("".join(" .:+*%@#"[int(value) * 7 // 16] * 2 for value in row) for row in rows)


def handwritten_digits() -> Path:
    """1,797 digits that 43 people wrote, from the UCI repository, as scikit-learn brings them along."""
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        sys.exit("The quickstart needs scikit-learn: pip install scikit-learn")
    return Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"


def progress(ws: raykqi.Workspace) -> Callable[[], None]:
    """Says what has become of each run since the last time."""
    told: dict[str, str] = {}

    def tick() -> None:
        for run in ws.runs(oldest_first=True):
            state = run.status if run.status in MARKS else "" if run.status == "waiting" else "running"
            if state and told.get(run.id) != state:
                told[run.id] = state
                took = f"  {run.usage.wall:.1f} s" if run.usage else ""
                say(f"{MARKS.get(state, '▶')} {run.title:9} {state:8}{took}{f'  {run.reason}' if run.reason else ''}")

    return tick


def read(ws: raykqi.Workspace, data: raykqi.Data, path: str) -> bytes:
    return b"".join(ws.cat(data, path))


def step(title: str, command: str) -> None:
    print(f"\n\033[1m{title}\033[0m\n  $ {command}" if COLOURED else f"\n{title}\n  $ {command}")


def say(text: str) -> None:
    print("\n".join(f"  {line}" for line in text.splitlines()), flush=True)


if __name__ == "__main__":
    main()
