"""Image archives: what `docker save` and OCI tools write, and what only pretends to be one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tracemalloc
from typing import Any

import pytest

from raykqi.errors import InvalidInput, NotFound, RaykqiError
from raykqi.importers.image_archive import ImageFacts, read_image_archive
from raykqi.importers.planfile import read_plan
from raykqi.importers.template import image_template

CONFIG = {
    "config": {
        "Entrypoint": ["python", "-u", "main.py", "--dataset", "/in/dataset"],
        "Cmd": ["--save-to=/out/model/best.pth", "--tmp", "/var/tmp"],
        "Volumes": {"/in/labels/": {}, "/var/log": {}},
    }
}
FACTS = ImageFacts(
    "localhost:30503/train:v1",
    ("python", "-u", "main.py", "--dataset", "/in/dataset"),
    ("--save-to=/out/model/best.pth", "--tmp", "/var/tmp"),
    ("/in/labels/", "/var/log"),
)


def archive(members: dict[str, Any]) -> io.BytesIO:
    """JSON for values that are not bytes; a layer in front, as there is in real ones."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, value in {"layer/layer.tar": b"\1" * 3_000_000, **members}.items():
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    written.seek(0)
    return written


def docker(*tags: str) -> dict[str, Any]:
    return {"abc.json": CONFIG, "manifest.json": [{"Config": "abc.json", "RepoTags": list(tags) or None, "Layers": []}]}


def oci(name: str = "localhost:30503/train:v1") -> dict[str, Any]:
    nested = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:22"}
    attestation = {"digest": "sha256:99", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    return {
        "oci-layout": {"imageLayoutVersion": "1.0.0"},
        "index.json": {"manifests": [{**nested, "annotations": {"io.containerd.image.name": name}}]},
        "blobs/sha256/22": {"manifests": [{"digest": "sha256:33"}, attestation]},
        "blobs/sha256/33": {"config": {"digest": "sha256:44"}, "layers": []},
        "blobs/sha256/44": CONFIG,
    }


@pytest.mark.parametrize("members", [docker("localhost:30503/train:v1"), oci()], ids=["docker", "oci"])
def test_an_archive_says_what_its_image_runs(members: dict[str, Any]) -> None:
    assert read_image_archive(archive(members), "train.tar") == FACTS
    packed = io.BufferedReader(io.BytesIO(gzip.compress(archive(members).getvalue())))  # type: ignore[type-var]
    assert read_image_archive(packed, "train.tar.gz") == FACTS


def test_its_paths_become_inputs_and_outputs() -> None:
    text = image_template(archive(docker("localhost:30503/train:v1")), "train.tar")

    definition = read_plan(text).definition
    assert definition.image == "localhost:30503/train:v1"
    assert [(wanted.path, str(wanted.tags[0])) for wanted in definition.inputs] == [
        ("/in/dataset", "type:dataset"),
        ("/in/labels", "type:labels"),
    ]
    assert [(made.path, str(made.tags[0])) for made in definition.outputs] == [("/out/model", "type:model")]
    assert definition.log is not None
    assert "# The image runs: python -u main.py" in text


def test_the_image_is_called_as_the_caller_calls_it() -> None:
    assert read_plan(image_template(archive(docker()), "f", image="x:v2")).definition.image == "x:v2"
    nameless = image_template(archive(docker()), "f")
    assert "The archive does not tell its name: write it here." in nameless
    assert read_plan(nameless).definition.image == "registry.example/name:v1"


def test_of_several_images_one_is_named() -> None:
    several = docker("a:v1", "b:v1")

    assert read_image_archive(archive(several), "f", name="b:v1").name == "b:v1"
    with pytest.raises(InvalidInput, match="it holds 2 images"):
        read_image_archive(archive(several), "f")
    with pytest.raises(NotFound, match="it holds no image 'c:v1'"):
        read_image_archive(archive(several), "f", name="c:v1")


def pax_bomb() -> bytes:
    """A header that claims a name of 1 GiB."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 2**30
    return info.tobuf(tarfile.USTAR_FORMAT) + b"x" * 4096


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is no tar archive"),
        (b"garbage" * 1000, "it is no tar archive"),
        (b"\x1f\x8b garbage", "it cannot be read"),
        (gzip.compress(archive(docker("a:v1")).getvalue())[:-20_00], "f: it"),
        (archive(docker("a:v1")).getvalue()[:5000], "it ends in the middle"),
        (archive({"readme.txt": b"x"}).getvalue(), "it holds no image"),
        (archive({"manifest.json": b"{"}).getvalue(), "'manifest.json' in it is not JSON"),
        (archive({"manifest.json": {"a": 1}}).getvalue(), "is not what an image has there"),
        (archive({"manifest.json": b"[" * 100_000}).getvalue(), "is not JSON"),
        (archive({"manifest.json": [{"Config": "gone.json"}]}).getvalue(), "'gone.json' is missing in it"),
        (archive({"manifest.json": [1]}).getvalue(), "is missing in it"),
        (archive({"manifest.json": b" " * (2**20 + 1)}).getvalue(), "it holds no image"),
        (archive({"index.json": {"manifests": [{"digest": "sha256:1"}]}}).getvalue(), "'blobs/sha256/1' is missing"),
        (archive({"index.json": {"manifests": [7, {}]}}).getvalue(), "is missing"),
        (pax_bomb(), "it ends in the middle"),
    ],
)
def test_what_is_no_image_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(RaykqiError) as refused:
        read_image_archive(io.BufferedReader(io.BytesIO(content)), "f")  # type: ignore[type-var]

    assert message in refused.value.message
    assert refused.value.hint


def test_an_index_that_leads_to_itself_ends() -> None:
    loop = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:22"}

    with pytest.raises(InvalidInput):
        read_image_archive(
            archive({"index.json": {"manifests": [loop]}, "blobs/sha256/22": {"manifests": [loop]}}), "f"
        )


def test_a_bomb_takes_time_and_no_memory() -> None:
    """64 MiB of layer, 64 KiB packed."""
    packed = gzip.compress(archive({**docker("a:v1"), "big.json": b"\0" * 2**26}).getvalue(), 1)

    tracemalloc.start()
    try:
        read_image_archive(io.BufferedReader(io.BytesIO(packed)), "f")  # type: ignore[type-var]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 8 * 2**20
