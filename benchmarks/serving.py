"""Served inference as `raykqi up` serves it, load generator included: `python -m benchmarks.serving [--quick]`.

Ratios are taken in one run: a Ray Serve deployment written by hand on the same Serve and ingress, and MLflow's
scoring server where MLflow is installed (`--mlflow PROGRAM` names one of another environment).
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

import raykqi
from benchmarks.api_server import Served, serve
from benchmarks.http_load import Load, make_request, run_load
from benchmarks.report import Figure, report
from benchmarks.serving_mlflow import mlflow_server
from benchmarks.serving_models import write_model

SMALL, BIG = (64, 64, 10), (1024, 2048, 2048, 1024, 64)
CLIENTS, MANY = 32, 64
JSON = {"Content-Type": "application/json"}
LONGEST = 60.0
_BARE = """
import sys
import numpy, onnxruntime, ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

address, model = sys.argv[1], sys.argv[2]


@serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})
class Bare:
    def __init__(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    async def __call__(self, request: Request):
        (tensor,) = (await request.json())["inputs"]
        data = numpy.array(tensor["data"], dtype=numpy.float32).reshape(tensor["shape"])
        (answer,) = self.session.run(None, {tensor["name"]: data})
        shown = {"name": "y", "datatype": "FP32", "shape": list(answer.shape), "data": answer.ravel().tolist()}
        return JSONResponse({"model_name": "bare", "outputs": [shown]})


ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
serve.run(Bare.bind(), name="bare", route_prefix="/bare")
print("ready", flush=True)
"""


def main(*, quick: bool, mlflow: str) -> None:
    seconds, turns = (0.4, 4) if quick else (8.0, 5)
    rolls = 3 if quick else 15
    with tempfile.TemporaryDirectory(prefix="raykqi-bench-") as name:
        folder = Path(name)
        raykqi.init(folder / "workspace")
        small = write_model(folder / "small" / "model.onnx", SMALL)
        with serve(folder / "workspace", folder) as served, raykqi.connect(served.url, token=served.token) as ws:
            with ThreadPoolExecutor(1) as pool:
                starting = pool.submit(_bare, served, small)
                models = _deploy_all(ws, folder, small, rolls)
                bare_url = starting.result()
            single = _body(1, SMALL[0])
            bare, ours = _in_turns(
                [
                    lambda: _load(served, bare_url, single, CLIENTS, seconds),
                    lambda: _load(served, _infer(served, "small"), single, CLIENTS, seconds),
                ],
                turns,
            )
            ratio = _ratio(ours, bare)
            theirs = _mlflow_rate(mlflow, small, folder, seconds, turns)
            p99 = statistics.median(_p99(load) for load in ours) - statistics.median(_p99(load) for load in bare)
            gain = _batching_gain(served, seconds, turns)
            rollouts = _rollouts(ws, served, models)
            from_zero = _from_zero(served, count=1 if quick else 5)
    rate = statistics.median(load.rate for load in ours)
    figures = [
        Figure("vs_bare_serve", ratio, "≥ 0.90", f"requests/s of a small ONNX model ÷ bare Serve, {CLIENTS} clients"),
        Figure("infer_s", rate, "–", "the same, requests a second"),
        Figure("batching_gain", gain, "≥ 2.0", f"with batches ÷ without, a model of ≥ 1 ms, {MANY} clients"),
        Figure("p99_added_ms", p99, "≤ 5 ms", f"p99 less that of the bare deployment, {CLIENTS} clients"),
        Figure(
            "rollout_s", statistics.median(rollouts), "≤ 2 s", f"tag set → first answer from it, p50 of {len(rollouts)}"
        ),
        Figure("from_zero_s", max(from_zero), "≤ 6 s", f"asleep → first answer, longest of {len(from_zero)}"),
    ]
    if theirs:
        figures.insert(
            1,
            Figure(
                "vs_mlflow", rate / theirs, "≥ 2.0", f"÷ `mlflow models serve`, which answers {theirs:.0f} a second"
            ),
        )
    report("serving: an endpoint of `raykqi up`, everything on this machine", figures)


def _deploy_all(ws: raykqi.RemoteWorkspace, folder: Path, small: Path, rolls: int) -> list[raykqi.Data]:
    """All endpoints, which start beside each other; the models that one of them rolls out.

    Each of these adds another number to what it answers, so that one sees which of them it was.
    """
    models = [
        ws.push(write_model(folder / f"m{n}" / "model.onnx", SMALL, marker=1000.0 * n).parent) for n in range(rolls + 1)
    ]
    ws.tag(models[0], add=["stage:bench"])
    big = ws.push(write_model(folder / "big" / "model.onnx", BIG).parent)
    plain = ws.push(small.parent)
    ws.deploy("small", data=plain.id, cpu=0)
    ws.deploy("batched", data=big.id, cpu=0, batch=64)
    ws.deploy("single", data=big.id, cpu=0, batch=1)
    ws.deploy("rolling", tags=["stage:bench"], cpu=0)
    ws.deploy("sleepy", data=plain.id, cpu=0, scale=raykqi.Scale(least=0, most=1, idle=1.0))
    for endpoint in ws.endpoints():
        ws.wait_endpoint(endpoint.name, LONGEST)
    return models


def _batching_gain(served: Served, seconds: float, turns: int) -> float:
    body = _body(1, BIG[0])
    batched, single = _in_turns(
        [
            lambda: _load(served, _infer(served, "batched"), body, MANY, seconds),
            lambda: _load(served, _infer(served, "single"), body, MANY, seconds),
        ],
        turns,
    )
    return _ratio(batched, single)


def _rollouts(ws: raykqi.RemoteWorkspace, served: Served, models: Sequence[raykqi.Data]) -> list[float]:
    took = []
    with httpx.Client(headers={"Authorization": f"Bearer {served.token}"}) as client:
        for number in range(1, len(models)):
            began = time.perf_counter()
            ws.tag(models[number], add=["stage:bench"])
            while True:
                answer = client.post(
                    _infer(served, "rolling"), content=_body(1, SMALL[0]), headers=JSON
                ).raise_for_status()
                if answer.json()["outputs"][0]["data"][0] >= 1000.0 * number:
                    break
                if time.perf_counter() - began > LONGEST:
                    raise SystemExit(f"the new model did not answer within {LONGEST:g} s")
            took.append(time.perf_counter() - began)
            if answer.headers["raykqi-data"] != models[number].id:
                raise SystemExit("the answer says that another model gave it")
    return took


def _from_zero(served: Served, *, count: int) -> list[float]:
    took = []
    for _ in range(count):
        _until_asleep(served, "sleepy")
        began = time.perf_counter()
        httpx.post(
            _infer(served, "sleepy"),
            content=_body(1, SMALL[0]),
            headers=JSON | {"Authorization": f"Bearer {served.token}"},
            timeout=LONGEST,
        ).raise_for_status()
        took.append(time.perf_counter() - began)
    return took


def _until_asleep(served: Served, name: str) -> None:
    """Until none of its replicas is left."""
    url = f"{served.url}/api/v1/projects/default/endpoints/{name}/replicas"
    until = time.monotonic() + 2 * LONGEST
    while httpx.get(url, headers={"Authorization": f"Bearer {served.token}"}).raise_for_status().json():
        if time.monotonic() > until:
            raise SystemExit(f"{name} does not fall asleep")
        time.sleep(0.2)


def _mlflow_rate(program: str, model: Path, folder: Path, seconds: float, turns: int) -> float:
    """Requests a second of MLflow's scoring server on the same model; 0 where it is not installed."""
    with mlflow_server(program, model, folder) as url:
        if not url:
            print("MLflow is not installed, so vs_mlflow is left out")
            return 0.0
        body = json.dumps({"inputs": [[0.123] * SMALL[0]]}).encode()
        request = make_request("POST", f"{url}/invocations", body=body, headers=JSON)
        loads = [
            run_load(url, lambda: itertools.repeat(request), clients=CLIENTS, seconds=seconds).require(200)
            for _ in range(turns)
        ]
        return statistics.median(load.rate for load in loads)


def _bare(served: Served, model: Path) -> str:
    environment = served.environment | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": served.ray_token}
    environment |= {"RAY_SERVE_ENABLE_HA_PROXY": "1", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _BARE, served.ray, str(model)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * LONGEST,
        check=False,
    )
    if "ready" not in done.stdout:
        raise SystemExit(f"the bare deployment did not start:\n{done.stdout}{done.stderr}")
    return f"{served.url}/bare"


def _in_turns(loads: Sequence[Callable[[], Load]], turns: int) -> list[list[Load]]:
    """Each in its turn, as the machine is not equally quick all the time; the first turn only warms up."""
    for load in loads:
        load()
    done: list[list[Load]] = [[] for _ in loads]
    for _ in range(turns):
        for load, into in zip(loads, done, strict=True):
            into.append(load())
    return done


def _load(served: Served, url: str, body: bytes, clients: int, seconds: float) -> Load:
    request = make_request("POST", url, token=served.token, body=body, headers=JSON)
    return run_load(url, lambda: itertools.repeat(request), clients=clients, seconds=seconds).require(200)


def _ratio(ours: Sequence[Load], theirs: Sequence[Load]) -> float:
    return statistics.median(left.rate / right.rate for left, right in zip(ours, theirs, strict=True))


def _p99(load: Load) -> float:
    return sorted(load.latencies)[int(len(load.latencies) * 0.99)] * 1000


def _infer(served: Served, name: str) -> str:
    return f"{served.url}/endpoints/{name}/v2/models/{name}/infer"


def _body(rows: int, width: int) -> bytes:
    tensor = {"name": "x", "datatype": "FP32", "shape": [rows, width], "data": [0.123] * (rows * width)}
    return json.dumps({"inputs": [tensor]}).encode()


if __name__ == "__main__":
    named = sys.argv[sys.argv.index("--mlflow") + 1] if "--mlflow" in sys.argv else shutil.which("mlflow") or ""
    main(quick="--quick" in sys.argv, mlflow=named)
