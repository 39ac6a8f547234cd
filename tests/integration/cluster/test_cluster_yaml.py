"""`cluster.yaml`: what KubeRay accepts, and a Serve config that brings up API and controller on any Ray."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml

from raykqi.cluster.controller_actor import stop_controller
from raykqi.opening import create_workspace, open_parts
from raykqi.settings import Settings
from raykqi.workspace import Workspace
from raykqi.workspace.hosted import controller_name
from raykqi.workspace.local_token import local_token
from serve_api.deployment import ApiArguments, serve_config
from serve_api.hosting import deploy
from tests.architecture.source import ROOT
from tests.integration.cluster.served_api import free_port

FOLDER = "kuberay-crds"
DATA = "/api/v1/projects/default/data"


def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / "cluster.yaml").read_text(encoding="utf-8")))


def service() -> dict[str, Any]:
    (found,) = (each for each in manifests() if each["kind"] == "RayService")
    return found


def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(service()["spec"]["serveConfigV2"])
    return loaded


def schema(name: str) -> dict[str, Any]:
    named = os.environ.get("RAYKQI_KUBERAY_CRDS")
    places = [Path(named)] if named else [parent / "shared" / FOLDER for parent in ROOT.parents]
    for place in places:
        if (file := place / f"ray.io_{name}.yaml").is_file():
            versions = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["versions"]
            (served,) = (each for each in versions if each["name"] == "v1")
            found: dict[str, Any] = served["schema"]["openAPIV3Schema"]
            return found
    pytest.skip(f"no {FOLDER} beside this repository; RAYKQI_KUBERAY_CRDS may name the folder")


def closed(schema: Any) -> Any:
    """As the API server reads it with strict validation: a field that is not known is an error."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    is_open = "additionalProperties" in made or made.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(made.get("properties"), dict) and "type" in made and not is_open:
        made["additionalProperties"] = False
    return made


def test_the_ray_service_is_one_that_kuberay_accepts() -> None:
    found = closed(schema("rayservices"))
    found["properties"]["metadata"] = {"type": "object"}

    jsonschema.validate(service(), found)
    wrong = json.loads(json.dumps(service()))
    wrong["spec"]["rayClusterConfig"]["authOption"] = {"mode": "token"}
    with pytest.raises(jsonschema.ValidationError, match="authOption"):
        jsonschema.validate(wrong, found)


def test_the_cluster_asks_for_a_token_keeps_work_off_its_head_and_runs_user_code_without_kubernetes() -> None:
    cluster = service()["spec"]["rayClusterConfig"]

    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert [group["labels"] for group in cluster["workerGroupSpecs"]] == [{"pool": "cpu"}, {"pool": "gpu"}]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for spec in (group["template"]["spec"] for group in groups):
        (container,) = spec["containers"]
        env = {each["name"]: each["value"] for each in container["env"]}
        assert (env["RAY_SERVE_ENABLE_HA_PROXY"], env["RAY_SERVE_THROUGHPUT_OPTIMIZED"]) == ("1", "1")
        assert container["envFrom"] == [{"secretRef": {"name": "raykqi-storage"}}]
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert all(group["template"]["spec"]["automountServiceAccountToken"] is False for group in groups[1:])


def test_its_serve_config_is_the_one_that_the_program_makes() -> None:
    arguments = ApiArguments(
        "s3://raykqi/lab",
        "raykqi",
        hosts=("raykqi.example.org", "raykqi-serve-svc"),
        is_cluster=True,
        is_secure=True,
        public_url="https://raykqi.example.org",
        runs_url="http://raykqi-serve-svc:8000",
        controller_cpus=1.0,
    )

    made = serve_config(arguments, host="0.0.0.0", replicas=2, most_replicas=4, cpus=1.0, every_node=True)

    assert config() == json.loads(json.dumps(made))


class Brought(NamedTuple):
    url: str
    workspace: str
    config: dict[str, Any]


@pytest.fixture(scope="module")
def brought(ray_here: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brought]:
    workspace = str(tmp_path_factory.mktemp("served") / "workspace")
    created = create_workspace(workspace, Settings(user="lena"))
    wanted = config()
    (application,) = wanted["applications"]
    application["args"]["workspace"] = workspace
    wanted["http_options"]["port"] = free_port()
    hosted = deploy(wanted)
    yield Brought(f"http://127.0.0.1:{wanted['http_options']['port']}", workspace, wanted)
    hosted.close()
    stop_controller(name=controller_name(created))


@pytest.fixture
def here(brought: Brought, tmp_path: Path) -> Iterator[Workspace]:
    settings = Settings(user="lena", cache_dir=tmp_path / "cache")
    with Workspace(open_parts(brought.workspace, settings), settings) as opened:
        yield opened


@pytest.fixture
def token(here: Workspace) -> Iterator[str]:
    with local_token(here) as text:
        yield text


def ask(url: str, token: str, data: bytes | None = None, **headers: str) -> Any:
    headers |= {"Authorization": f"Bearer {token}", "Host": "raykqi.example.org", "Content-Type": "application/x-tar"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


def test_the_same_serve_config_brings_up_api_and_controller_on_a_local_ray(
    brought: Brought, here: Workspace, token: str
) -> None:
    made = ask(f"{brought.url}{DATA}?tags=type:raw", token, tar_of("photo.txt", b"light"))

    found = ask(f"{brought.url}{DATA}?tag=type:raw", token)["items"]

    assert [data["id"] for data in found] == [made["id"]]
    assert b"".join(here.cat(made["id"], "photo.txt")) == b"light"
    assert here.is_served()


def test_an_upgrade_of_the_api_loses_no_request(brought: Brought, here: Workspace, token: str) -> None:
    is_upgraded = threading.Event()

    def push_until_then() -> list[str]:
        made: list[str] = []
        while not is_upgraded.is_set() or not made:
            made.append(ask(f"{brought.url}{DATA}?tags=type:new", token, tar_of("n", str(len(made)).encode()))["id"])
            is_upgraded.wait(0.05)  # which leaves a core to what is upgraded
        return made

    def ask_from_elsewhere() -> None:
        ask(f"{brought.url}{DATA}?tags=type:other", token, tar_of("n", b""), Origin="https://lab.example.org")

    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask_from_elsewhere()
    changed = json.loads(json.dumps(brought.config))
    changed["applications"][0]["args"]["origins"] = ["https://lab.example.org"]
    with ThreadPoolExecutor(3) as pool:
        pushing = [pool.submit(push_until_then) for _ in range(3)]
        try:
            deploy(changed)
        finally:
            is_upgraded.set()
        made = [id_ for each in pushing for id_ in each.result(120)]

    ask_from_elsewhere()
    assert sorted(data.id for data in here.find("type:new")) == sorted(made)


def tar_of(name: str, content: bytes) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return whole.getvalue()
