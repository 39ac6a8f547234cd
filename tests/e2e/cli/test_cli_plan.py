"""`raykqi plan` and `why`: plans applied, seen, changed, drawn and tried, without anything that runs them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e.cli.conftest import CommandLine

NOBODY = "nothing runs the plans of this workspace now: start `raykqi up` or `raykqi work`\n"
COPY = """
name: copy
command: "cat {inputs.photos}/* > {outputs.copy}/all; echo hello"
inputs: [{path: /in/photos, tags: ["type:photos"]}]
outputs: [{path: /out/copy, tags: ["type:copy", "greeting:${GREETING}"]}]
log: {tags: ["type:log"]}
annotations: [owner=mika]
"""
FUNCTIONS = """
from pathlib import Path

import raykqi


@raykqi.plan(inputs={"copy": ["type:copy"]}, outputs={"model": ["type:model"]})
def train(copy: Path, model: Path, epochs: int = 3) -> None:
    print("training", epochs)
    (model / "weights").write_text("x" * epochs)
    if epochs > 90:
        raise ValueError("too long")


@raykqi.plan(inputs={"model": ["type:model"]})
def look(model: Path) -> None:
    print(sorted(path.name for path in model.iterdir()))
"""

CIRCLE = """
import raykqi


@raykqi.plan(inputs={"first": ["side:first"]}, outputs={"second": ["side:second"]})
def there(first, second):
    pass


@raykqi.plan(inputs={"second": ["side:second"]}, outputs={"first": ["side:first"]})
def back(second, first):
    pass
"""


@pytest.fixture
def files(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    # Each test has a file of that name; a program imports one of them.
    monkeypatch.delitem(sys.modules, "learning", raising=False)
    cli.write("copy.yaml", COPY)
    cli.write("learning.py", FUNCTIONS)
    return cli


def apply_copy(cli: CommandLine, *more: str) -> str:
    return cli.ok("plan", "apply", "copy.yaml", "--set", "GREETING=hello", *more).lines[0]


def test_a_plan_file_is_applied_once_unless_that_is_fine(files: CommandLine) -> None:
    plan = apply_copy(files)

    assert files("plan", "apply", "copy.yaml", "--set", "GREETING=hello").code == 4
    assert apply_copy(files, "--exist-ok") == plan
    other = files.ok("plan", "apply", "copy.yaml", "--set", "GREETING=bye", "--replace").lines[0]
    assert [each["id"] for each in files.ok("plan", "find", "--active", "--json").json] == [other]
    assert files.ok("plan", "find", "--inactive", "-q").lines == [plan]


def test_functions_are_applied_by_file_or_one_by_one(files: CommandLine) -> None:
    (train,) = files.ok("plan", "apply", "learning.py:train", "--param", "epochs=5").lines
    applied = files("plan", "apply", "learning.py")
    both = applied.lines

    assert len(both) == 2
    assert applied.err == f"note: an earlier plan called train is active as well: `raykqi plan deactivate {train}`\n"
    assert files.ok("plan", "show", train, "--json").json["params"] == {"epochs": 5}
    assert files.ok("plan", "show", "look", "--json").json["id"] == both[1]
    refused = files("plan", "apply", "learning.py:test", "--json")
    assert refused.code == 2
    assert refused.error["hint"] == "It has train, look."
    code = files.ok("plan", "show", "train", "--json").json["definition"]["code"]["data"]
    assert files.ok("data", "cat", code, "learning.py").text == FUNCTIONS


def test_of_several_functions_none_is_applied_when_one_would_be_refused(files: CommandLine) -> None:
    (look,) = files.ok("plan", "apply", "learning.py:look").lines

    refused = files("plan", "apply", "learning.py", "--json")

    assert (refused.code, refused.out) == (4, b"")
    assert refused.error["message"] == f"there is an equivalent plan: {look}"
    assert files.ok("plan", "find", "-q").lines == [look]
    assert len(files.ok("plan", "apply", "learning.py", "--exist-ok").lines) == 2


def test_what_was_applied_is_told_when_another_plan_is_refused_after_all(files: CommandLine) -> None:
    name = f"circle_{files.folder.name}.py"  # one process imports a module of a name once
    files.write(name, CIRCLE)

    refused = files("plan", "apply", name)

    assert refused.code == 4
    assert refused.lines == files.ok("plan", "find", "-q").lines
    assert refused.err.startswith("applied: there; not applied: back\n")


def test_the_same_plan_again_says_what_it_does_not_change(files: CommandLine) -> None:
    plan = apply_copy(files)
    files.write(
        "copy.yaml",
        COPY.replace("[owner=mika]", "[owner=lena]")
        + "resources: {cpu: 2, gpu: 1}\nlimits: {running: 3}\nactive: false\nservice_account: trainer\n",
    )

    again = files("plan", "apply", "copy.yaml", "--set", "GREETING=hello", "--exist-ok")

    assert (again.code, again.lines) == (0, [plan])
    assert again.err.splitlines() == [
        f"warning: copy: active still yes; to change it: raykqi plan deactivate {plan}",
        "warning: copy: resources still cpu=1 memory=1Gi; "
        f"to change it: raykqi plan resources {plan} --set cpu=2 --set gpu=1",
        f"warning: copy: limits still running=0 pending=10000; to change it: raykqi plan limits {plan} --running 3",
        f"warning: copy: service account still none; to change it: raykqi plan serviceaccount {plan} trainer",
        "warning: copy: annotations still owner=mika; "
        f"to change it: raykqi plan annotate {plan} --remove owner=mika --add owner=lena",
    ]


def test_a_dry_run_names_the_runs_and_changes_nothing(files: CommandLine) -> None:
    data = files.push("photos", "-t", "type:photos")

    tried = files.ok("plan", "apply", "copy.yaml", "--set", "GREETING=hi", "--dry-run").lines
    as_json = files.ok("plan", "apply", "copy.yaml", "--set", "GREETING=hi", "--dry-run", "--json").json

    assert tried == [f"would run copy  photos={data}"]
    assert [run["inputs"] for run in as_json[0]["runs"]] == [[{"name": "photos", "data": data}]]
    assert files.ok("plan", "find", "-q").lines == []
    assert files("plan", "apply", "copy.yaml", "--set", "GREETING=hi").err == NOBODY
    assert files("run", "find", "-q").lines != []


def test_tagging_can_be_tried_too(files: CommandLine) -> None:
    apply_copy(files)
    data = files.push("photos")

    tried = files.ok("data", "tag", data, "--add", "type:photos", "--dry-run", "--json").json

    plan = files.ok("plan", "show", "copy", "--json").json["id"]
    assert tried == [
        {
            "data": data,
            "removed": [],
            "added": ["type:photos"],
            "runs": [{"plan": plan, "inputs": [{"name": "photos", "data": data}]}],
        }
    ]


def test_plans_are_found_by_what_they_are(files: CommandLine) -> None:
    copy = apply_copy(files)
    train, look = files.ok("plan", "apply", "learning.py").lines

    assert files.ok("plan", "find", "-q").lines == [look, train, copy]
    assert files.ok("plan", "find", "-q", "--name", "train").lines == [train]
    assert files.ok("plan", "find", "-q", "--in-tag", "type:copy").lines == [train]
    assert files.ok("plan", "find", "-q", "--out-tag", "type:copy").lines == [copy]
    assert files.ok("plan", "find", "-q", "--annotation", "owner=mika").lines == [copy]
    assert files.ok("plan", "find", "--limit", "1", "-q").lines == [look]


def test_a_plan_is_shown_to_people_and_as_a_file(files: CommandLine) -> None:
    plan = apply_copy(files)

    shown = files.ok("plan", "show", "copy").lines
    assert shown[0].split() == ["id", plan]
    assert "input       photos  /in/photos  type:photos" in shown
    assert "runs        none yet" in shown
    text = files.ok("plan", "show", "copy", "--yaml").text
    files.write("again.yaml", text)
    again = files("plan", "apply", "again.yaml", "--json")
    assert (again.code, again.error["type"]) == (4, "PlanExists")


def test_what_of_a_plan_may_change(files: CommandLine) -> None:
    plan = apply_copy(files)

    changed = files.ok("plan", "resources", "copy", "--set", "gpu=0.5", "--set", "memory=2Gi", "--json").json
    assert changed["resources"] == {"cpu": "1", "memory": "2Gi", "gpu": "0.5"}
    assert files.ok("plan", "resources", "copy", "--unset", "gpu").lines == [f"{plan}  cpu=1  memory=2Gi"]
    limits = files.ok("plan", "limits", "copy", "--running", "2", "--json").json["limits"]
    assert limits == {"running": 2, "pending": 10_000}
    annotated = files.ok("plan", "annotate", "copy", "--add", "team=a=b", "--remove-key", "owner", "--json").json
    assert annotated["annotations"] == ["team=a=b"]
    assert files.ok("plan", "serviceaccount", "copy", "trainer", "--json").json["service_account"] == "trainer"
    assert files.ok("plan", "serviceaccount", "copy", "--json").json["service_account"] == ""
    assert files.ok("plan", "deactivate", "copy").lines == [f"{plan}  inactive; its runs: none yet"]
    files.push("photos", "-t", "type:photos")
    assert files.ok("run", "find", "--status", "deactivated", "--json").json[0]["plan"] == plan
    assert files("plan", "activate", "copy").lines == [f"{plan}  active; its runs: 1 waiting"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resources", "copy"], "no change of resources was asked for"),
        (["resources", "copy", "--set", "gpu=1.5"], "gpu: 1.5 is more than one GPU"),
        (["resources", "copy", "--set", "gpu=1", "--unset", "gpu"], "'gpu' is both set and unset"),
        (["limits", "copy"], "no change of limits was asked for"),
        (["limits", "copy", "--pending", "0"], "a limit of 0 pending runs is not possible"),
        (["annotate", "copy", "--add", "owner"], "annotation 'owner' is not key=value"),
        (["graph", "--format", "gif"], "there is no format 'gif'"),
        (["run", "copy.yaml", "--set", "GREETING=x"], "a plan runs by itself when data matches it"),
        (["run", "learning.py", "--local"], "learning.py has several plans: train, look"),
        (["run", "learning.py:train", "--local"], "no folder was given for the input 'copy'"),
        (["run", "learning.py:look", "--local", "-i", "foto=."], "the plan has no input 'foto'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused(files: CommandLine, arguments: list[str], message: str) -> None:
    apply_copy(files)

    refused = files("plan", *arguments, "--json")

    assert refused.code == 2
    assert message in refused.error["message"]


def test_the_graph_says_which_plan_feeds_which(files: CommandLine, tmp_path: Path) -> None:
    apply_copy(files)
    files.ok("plan", "apply", "learning.py")

    assert files.ok("plan", "graph").lines == [
        "▶ copy",
        "    copy → copy of train",
        "▶ train",
        "    model → model of look",
        "▶ look",
    ]
    links = json.loads(files.ok("plan", "graph", "copy", "--format", "json").out)["links"]
    assert [(link["output"], link["input"]) for link in links] == [("copy", "copy"), ("model", "model")]
    files.ok("plan", "graph", "-o", "plans.svg")
    picture = ElementTree.parse(tmp_path / "plans.svg").getroot()
    assert [each.text for each in picture.iter() if each.get("class") == "plan"] == ["copy", "train", "look"]
    assert files.ok("plan", "graph", "-f", "dot").text.count("->") == 2
    assert files.ok("plan", "graph", "-f", "mermaid").text.count("-->") == 2


def test_why_says_what_is_missing(files: CommandLine) -> None:
    apply_copy(files)
    data = files.push("photos", "-t", "type:pictures")

    no = files("why", "copy", data)
    assert (no.code, no.lines[0]) == (1, "no: input photos also wants type:photos")
    files("data", "tag", data, "--add", "type:photos")
    yes = files.ok("why", "copy", data, "--json").json
    assert (yes["is_match"], len(yes["runs"])) == (True, 1)


def test_a_plan_is_tried_on_folders_right_here(files: CommandLine) -> None:
    files.write("photos/one", "1")
    files.write("photos/two", "2")
    here = ["--local", "-i", "photos=photos", "-o", "copy=made"]

    tried = files.process("plan", "run", "copy.yaml", "--set", "GREETING=hello", *here)

    assert (tried.returncode, tried.stdout, tried.stderr) == (0, b"hello\n", b"")
    assert (files.folder / "made" / "all").read_text() == "12"
    learn = ["plan", "run", "learning.py:train", "--local", "-i", "copy=made", "-o", "model=model"]
    assert files.process(*learn, "--param", "epochs=4").stdout == b"training 4\n"
    assert (files.folder / "model" / "weights").read_text() == "xxxx"
    failed = files.process(*learn, "--param", "epochs=99")
    assert failed.returncode == 1
    assert b"ValueError: too long" in failed.stderr
    assert files.ok("run", "find", "-q").lines == []
