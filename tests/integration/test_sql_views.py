"""The snapshot's Parquet files answer questions in plain DuckDB: a program that knows nothing of raykqi asks them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from raykqi.errors import UnknownId
from raykqi.workspace import Workspace
from tests.integration.lab import Lab, SteppedClock

_ASK = """
import json, sys
import duckdb
folder, questions = sys.argv[1], json.loads(sys.argv[2])
connection = duckdb.connect()
if folder:
    connection.execute("SET file_search_path = '" + folder + "'")
connection.execute(open((folder or ".") + "/views.sql").read())
assert not any(name.startswith("raykqi") for name in sys.modules)
print(json.dumps([connection.execute(question).fetchall() for question in questions], default=str))
"""


class Kept(NamedTuple):
    ws: Workspace
    folder: Path
    raw: str
    other: str
    middle: str
    leaf: str
    run: str


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """raw and other → middle → leaf, with a tag that went, a purge, a removal and a stranger."""
    from raykqi.opening import create_workspace
    from raykqi.settings import Settings

    folder = tmp_path_factory.mktemp("views")
    lab = Lab(str(folder / "workspace"), Settings(user="花子", cache_dir=folder / "cache"), folder)
    create_workspace(lab.url, lab.settings)
    ws = lab.open(clock=SteppedClock()).ws
    source = lab.files("source", {"a": b"alpha"})
    raw = ws.push(source, ["type:raw", "言語:日本語", "stage:new"])
    other = ws.push(source, ["type:raw"])
    middle = ws.push(source, ["type:dataset"], inputs={"raw": raw.id, "other": other.id})
    leaf = ws.push(source, ["type:model"], inputs={"data": middle.id})
    stranger = ws.push(source, ["type:raw"])
    ws.tag(raw.id, remove=["stage:new"])
    ws.purge(other.id, "契約の終了")
    ws.remove(stranger.id, "a mistake")
    place = lab.root / ws.snapshot()
    yield Kept(ws, place, raw.id, other.id, middle.id, leaf.id, middle.upstream.run)
    lab.close()


def ask(kept: Kept, *questions: str, elsewhere: Path | None = None) -> list[list[list[Any]]]:
    """The answers of a process that imports duckdb and nothing else, run in the snapshot's folder or elsewhere."""
    command = [sys.executable, "-I", "-c", _ASK, str(kept.folder) if elsewhere else "", json.dumps(questions)]
    done = subprocess.run(command, cwd=elsewhere or kept.folder, check=True, capture_output=True, text=True, timeout=60)
    answers: list[list[list[Any]]] = json.loads(done.stdout)
    return answers


def test_data_are_found_by_tags_in_sql(kept: Kept) -> None:
    by_tag, by_two, by_plan = ask(
        kept,
        "SELECT d.id FROM data d JOIN tags t ON t.data = d.id"
        " WHERE t.key = 'type' AND t.value = 'raw' AND d.status <> 'removed' ORDER BY d.id",
        "SELECT data FROM tags WHERE (key, value) IN (('type', 'raw'), ('言語', '日本語'))"
        " GROUP BY data HAVING count(*) = 2",
        "SELECT plan, count(*) FROM runs GROUP BY plan",
    )

    assert [id_ for (id_,) in by_tag] == [data.id for data in kept.ws.find("type:raw", oldest_first=True)]
    assert by_two == [[kept.raw]]
    assert by_plan == [["raykqi#uploaded", 5]]


def test_ancestors_and_descendants_are_those_of_the_lineage(kept: Kept) -> None:
    above, below, of_run = ask(
        kept,
        f"SELECT id, distance FROM ancestors('{kept.leaf}')",
        f"SELECT id, distance FROM descendants('{kept.raw}')",
        f"SELECT id FROM ancestors('{kept.run}') WHERE distance = 1 ORDER BY id",
    )
    up, down = kept.ws.lineage(kept.leaf, way="up"), kept.ws.impact(kept.raw)

    assert {id_ for id_, _ in above} == {node.id for node in (*up.data, *up.runs)} - {kept.leaf}
    assert {id_ for id_, _ in below} == {node.id for node in (*down.data, *down.runs)} - {kept.raw}
    assert dict(map(tuple, above))[kept.raw] == 4  # type: ignore[arg-type]
    assert dict(map(tuple, below)) == {
        kept.run: 1,
        kept.middle: 2,
        kept.ws.show(kept.leaf).upstream.run: 3,
        kept.leaf: 4,
    }  # type: ignore[arg-type]
    assert of_run == [[kept.raw], [kept.other]]


def test_history_is_there_too(kept: Kept) -> None:
    past, stones, edges = ask(
        kept,
        "SELECT data, key, value, added_by, removed_by FROM past_tags",
        "SELECT data, kind, ended_by, reason, size FROM tombstones ORDER BY ended_at LIMIT 1",
        f"SELECT source, kind, name FROM edges WHERE target = '{kept.run}' ORDER BY name",
    )

    assert past == [[kept.raw, "stage", "new", "花子", "花子"]]
    assert stones == [[kept.other, "purged", "花子", "契約の終了", 5]]
    assert edges == [[kept.other, "input", "other"], [kept.raw, "input", "raw"]]


def test_the_views_work_from_another_folder(kept: Kept, tmp_path: Path) -> None:
    ((found,),) = ask(kept, "SELECT count(*) FROM data", elsewhere=tmp_path)

    assert found == [5]
    assert list(tmp_path.iterdir()) == []


def test_the_views_hold_for_a_workspace_without_data(lab: Lab) -> None:
    ws = lab.open().ws
    empty = Kept(ws, lab.root / ws.snapshot(), "", "", "", "", "")

    nobody = "01939c1c-0000-7000-8000-000000000000"
    assert ask(empty, "SELECT * FROM data", "SELECT * FROM edges", f"SELECT * FROM ancestors('{nobody}')") == [
        [],
        [],
        [],
    ]
    with pytest.raises(UnknownId):
        ws.show(nobody)
