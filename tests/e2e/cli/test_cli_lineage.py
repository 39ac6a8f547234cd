"""`raykqi lineage` over a real workspace: every question and every format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

import raykqi
from tests.e2e.cli.conftest import CommandLine


@dataclass(frozen=True)
class Chain:
    """raw → clean → model, and a stranger."""

    raw: str
    clean: str
    model: str
    stranger: str


@pytest.fixture
def chain(cli: CommandLine) -> Chain:
    raw = cli.push("raw", "-n")
    clean = cli.push("clean", "-n", "--from", f"raw={raw}")
    model = cli.push("model", "-n", "--from", f"images={clean}")
    return Chain(raw, clean, model, cli.push("stranger", "-n"))


def data_ids(text: str) -> set[str]:
    return {node["id"] for node in json.loads(text)["data"]}


def test_lineage_goes_both_ways_or_one(cli: CommandLine, chain: Chain) -> None:
    def shown(*options: str) -> set[str]:
        return data_ids(cli.ok("lineage", "show", chain.clean, *options, "--json").text)

    assert shown() == {chain.raw, chain.clean, chain.model}
    assert shown("-u") == {chain.raw, chain.clean}
    assert shown("-d") == {chain.clean, chain.model}
    assert shown("-u", "-d") == {chain.raw, chain.clean, chain.model}


def test_an_id_that_begins_a_data_and_its_run_means_the_data(cli: CommandLine) -> None:
    data = cli.push("made")
    run = cli.ok("data", "show", data, "--json").json["upstream"]["run"]
    assert data[:8] == run[:8]

    assert cli.ok("lineage", "show", data[:8], "--json").json["start"] == [data]
    assert cli.ok("lineage", "show", run, "--json").json["start"] == [run]


def test_depth_limits_how_far_it_goes(cli: CommandLine, chain: Chain) -> None:
    assert data_ids(cli.ok("lineage", "show", chain.model, "-n", "1", "--json").text) == {chain.model, chain.clean}
    assert data_ids(cli.ok("lineage", "show", chain.model, "-n", "all", "--json").text) == {
        chain.model,
        chain.clean,
        chain.raw,
    }
    assert cli("lineage", "show", chain.model, "-n", "0").code == 2


def test_the_table_starts_with_what_was_asked_for(cli: CommandLine, chain: Chain) -> None:
    _, *rows = [line.split() for line in cli.ok("lineage", "show", chain.clean, "-u").lines]

    assert [row[:2] for row in rows] == [["●", "data"], ["↑", "run"], ["↑", "data"], ["↑", "run"]]
    assert rows[0][3] == "clean"
    assert rows[2][3:5] == ["raw", "raw"]


def test_lineage_as_of_a_moment_before_it_is_a_clear_error(cli: CommandLine, chain: Chain) -> None:
    result = cli("lineage", "show", chain.model, "--as-of", "2020-01-01")

    assert result.code == 3
    assert "was not there yet" in result.err


def test_every_format_can_be_printed(cli: CommandLine, chain: Chain) -> None:
    def shown(format_: str) -> str:
        return cli.ok("lineage", "show", chain.model, "--format", format_).text

    assert shown("dot").startswith("digraph")
    assert shown("mermaid").startswith("flowchart")
    assert ElementTree.fromstring(shown("svg")).tag == "{http://www.w3.org/2000/svg}svg"
    assert chain.raw in data_ids(shown("json"))
    events = [json.loads(line) for line in shown("openlineage").splitlines()]
    assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * 3
    assert {event["job"]["namespace"] for event in events} == {str(cli.folder / ".raykqi")}


@pytest.mark.parametrize("format_", ["text", "json", "dot", "mermaid", "svg", "openlineage"])
def test_a_format_is_the_same_text_as_in_python(cli: CommandLine, chain: Chain, format_: str) -> None:
    with raykqi.open(cli.folder / ".raykqi") as workspace:
        drawn = raykqi.draw(workspace.lineage(chain.model), format_, namespace=workspace.url)

    assert cli.ok("lineage", "show", chain.model, "-n", "all", "--format", format_).text.rstrip("\n") == drawn.rstrip(
        "\n"
    )


@pytest.mark.parametrize(
    ("ending", "beginning"),
    [("svg", "<svg"), ("dot", "digraph"), ("mmd", "flowchart"), ("json", "{"), ("ndjson", "{"), ("txt", "● model")],
)
def test_the_ending_of_a_file_tells_the_format(cli: CommandLine, chain: Chain, ending: str, beginning: str) -> None:
    cli.ok("lineage", "show", chain.model, "-o", f"系譜.{ending}")

    assert (cli.folder / f"系譜.{ending}").read_text(encoding="utf-8").startswith(beginning)


@pytest.mark.parametrize(
    "options", [["-o", "x.bmp"], ["-f", "yaml"], ["-f", "table", "-o", "x.svg"], ["-o", "no/such/folder.svg"]]
)
def test_a_format_or_file_that_cannot_be_is_refused(cli: CommandLine, chain: Chain, options: list[str]) -> None:
    assert cli("lineage", "show", chain.model, *options).code == 2
    assert not (cli.folder / "x.bmp").exists()


def test_the_path_is_shown_from_the_ancestor_down(cli: CommandLine, chain: Chain) -> None:
    _, *rows = [line.split() for line in cli.ok("lineage", "path", chain.raw, chain.model).lines]

    assert [row[3] for row in rows] == ["raw", "raykqi#uploaded", "clean", "raykqi#uploaded", "model"]
    assert data_ids(cli.ok("lineage", "path", chain.raw, chain.model, "--json").text) == {
        chain.raw,
        chain.clean,
        chain.model,
    }


def test_no_path_is_a_no_in_a_sentence(cli: CommandLine, chain: Chain) -> None:
    strangers = cli("lineage", "path", chain.stranger, chain.model)
    backwards = cli("lineage", "path", chain.model, chain.raw, "--json")

    assert (strangers.code, strangers.out) == (1, b"")
    assert strangers.err == f"{chain.model} did not come of {chain.stranger}\n"
    assert (backwards.code, backwards.json) == (1, None)
    assert backwards.err == f"{chain.raw} did not come of {chain.model}; it is the other way round\n"


def test_impact_is_all_that_came_of_it(cli: CommandLine, chain: Chain) -> None:
    assert data_ids(cli.ok("lineage", "impact", chain.raw, "--json").text) == {chain.raw, chain.clean, chain.model}


def test_diff_tells_the_ancestors_apart(cli: CommandLine, chain: Chain) -> None:
    found = cli.ok("lineage", "diff", chain.model, chain.stranger, "--json").json
    text = cli.ok("lineage", "diff", chain.clean, chain.model).lines

    assert {node["id"] for node in found["only_left"]} == {chain.raw, chain.clean, chain.model}
    assert {node["id"] for node in found["only_right"]} == {chain.stranger}
    assert [line.split()[3] for line in text[1:-1]] == ["model", "raykqi#uploaded"]
    assert text[-1] == "2 data are in both ancestries."
