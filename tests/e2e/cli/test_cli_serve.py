"""`raykqi serve` and `raykqi lineage impact --pull` over a real workspace, where nothing brings endpoints up."""

from __future__ import annotations

import json

import pytest

import raykqi
from raykqi.domain.endpoint import RevisionStatus
from raykqi.engine.endpoint_commands import MoveRevision
from tests.e2e.cli.conftest import CommandLine, Result

NOBODY = "nothing serves endpoints of this workspace now: start `raykqi up`\n"


@pytest.fixture
def model(cli: CommandLine) -> str:
    return cli.push("model.onnx", "-t", "type:model", "-t", "stage:prod")


def deploy(cli: CommandLine, *arguments: str) -> Result:
    return cli.ok("serve", "deploy", *arguments, "--no-wait")


def move(cli: CommandLine, revision: int, before: RevisionStatus, status: RevisionStatus, reason: str = "") -> None:
    """What a controller does that brings it up."""
    with raykqi.open(str(cli.folder / ".raykqi")) as workspace:
        id_ = workspace.endpoint("digits").id
        workspace._controller.submit(MoveRevision("raykqi", id_, revision, before, status, reason))


def shown(cli: CommandLine, *options: str) -> dict[str, str]:
    """The facts that `show` begins with."""
    lines = cli.ok("serve", "show", "digits", *options).lines
    facts = lines[: lines.index("")] if "" in lines else lines
    return {line.split()[0]: line.partition("  ")[2].strip() for line in facts}


def test_a_model_is_deployed_by_its_id_or_by_tags(cli: CommandLine, model: str) -> None:
    assert deploy(cli, "digits", "--data", model[:18]).lines == [f"digits  revision 1, data {model}, is loading"]
    assert deploy(cli, "other", "--tags", "type:model,stage:prod").lines == [
        f"other  revision 1, data {model}, is loading"
    ]
    assert deploy(cli, "third", "-t", "type:none", "-t", "stage:prod").lines == ["third  waits for data with its tags"]


def test_without_somebody_who_serves_it_says_so_and_does_not_wait(cli: CommandLine, model: str) -> None:
    result = cli("serve", "deploy", "digits", "--data", model)

    assert (result.code, result.err) == (0, NOBODY)


def test_what_is_not_said_stays_as_it_is(cli: CommandLine, model: str) -> None:
    deploy(
        cli, "digits", "--data", model, "--replicas", "0-3", "--gate", "loss:lower", "--canary", "10%", "--gpu", "0.5"
    )

    deploy(cli, "digits", "--set", "limits.timeout=30s", "--env", "MODE=fast", "--public")

    spec = cli.ok("serve", "spec", "digits", "--json").json
    assert spec["scale"] == {"least": 0, "most": 3}
    assert spec["gate"] == {"metric": "loss", "goal": "lower"}
    assert spec["canary"] == {"share": 0.1}
    assert spec["resources"] == {"gpu": 0.5}
    assert spec["limits"] == {"timeout": 30.0}
    assert spec["loading"] == {"environment": {"MODE": "fast"}}
    assert (spec["is_public"], spec["binding"]) == (True, {"data": model})


def test_a_spec_comes_out_as_it_goes_in(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--tags", "type:model", "--batch", "8", "--approver", "hanako", "--sample", "0.5")
    text = cli.ok("serve", "spec", "digits").text
    cli.write("digits.yaml", text)
    deploy(cli, "digits", "--batch", "16")

    deploy(cli, "-f", "digits.yaml")

    assert cli.ok("serve", "spec", "digits").text == text
    assert text.splitlines()[:2] == ['name: "digits"', 'tags: ["type:model"]']
    copy = cli.ok("serve", "deploy", "copy", "-f", "-", "--no-wait", stdin=text)
    assert copy.lines == [f"copy  revision 1, data {model}, is waiting"]


def test_mistakes_say_where_and_what_to_do(cli: CommandLine, model: str) -> None:
    cli.write("bad.yaml", "tags: [type:model]\nscale:\n  mots: 3\n")

    def refused(*arguments: str) -> tuple[int, str]:
        result = cli("serve", *arguments)
        assert result.out == b""
        return result.code, result.err

    assert refused("deploy", "digits", "-f", "bad.yaml") == (
        2,
        "error: bad.yaml:3: scale.mots: there is no key 'mots' in `scale`\nhint: Did you mean 'most'?\n",
    )
    code, err = refused("deploy", "digits", "--data", model, "--set", "scale.mots=3")
    assert (code, "Did you mean 'most'?" in err) == (2, True)
    assert "raykqi serve deploy NAME" in refused("deploy")[1]
    assert "Give --data ID or --tags" in refused("deploy", "digits")[1]
    assert "--canary 'x%' is no share" in refused("deploy", "digits", "--data", model, "--canary", "x%")[1]
    assert "--canary 'half' is no share" in refused("deploy", "digits", "--data", model, "--canary", "half")[1]
    assert refused("show", "nothing")[0] == 3
    assert "`raykqi serve list`" in refused("promote", "nothing")[1]
    assert refused("deploy", "digits", "-f", "nothing.yaml")[0] == 3


def test_list_says_what_answers(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--tags", "type:model")
    deploy(cli, "idle", "--tags", "type:other")
    move(cli, 1, "loading", "live")

    lines = cli.ok("serve", "list").lines

    assert lines[0].split() == ["NAME", "STATE", "REVISION", "MODEL", "FOLLOWS", "SINCE"]
    assert lines[1].split()[:3] == ["digits", "live", "1"]
    assert lines[2].split() == ["idle", "waiting", "type:other"]
    assert [(each["name"], each["state"]) for each in cli.ok("serve", "list", "--json").json] == [
        ("digits", "live"),
        ("idle", "waiting"),
    ]


def test_show_tells_what_served_when_and_why(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--tags", "type:model", "--gate", "accuracy", "--approver", "hanako", "--canary", "0.1")
    move(cli, 1, "waiting", "loading")
    move(cli, 1, "loading", "live")
    newer = cli.push("newer.onnx", "-t", "type:model")

    facts = shown(cli)
    assert facts["state"] == "live, waiting 2"
    assert facts["serves"].startswith(f"data {model}, revision 1 since ")
    assert facts["next"].startswith(f"data {newer}, revision 2 is waiting")
    assert facts["follows"] == "type:model"
    assert facts["gate"] == "accuracy is higher than the current model's, and approved by hanako"
    assert facts["canary"] == "10% for 60 s and 20 requests"

    table = cli.ok("serve", "show", "digits", "--history").lines
    revisions = table.index(next(line for line in table if line.split()[:2] == ["REVISION", "STATUS"]))
    assert [line.split()[:2] for line in table[revisions + 1 : revisions + 3]] == [["2", "waiting"], ["1", "live"]]
    history = [line.split()[3:5] for line in table[table.index("", revisions) + 2 :]]
    assert history == [["1", "waiting"], ["1", "loading"], ["1", "live"], ["2", "waiting"]]
    record = cli.ok("serve", "show", "digits", "--json").json
    assert [each["status"] for each in record["revisions"]] == ["live", "waiting"]
    assert record["spec"]["binding"]["tags"] == ["type:model"]


def test_a_rollout_is_promoted_rolled_back_and_followed(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--tags", "type:model", "--approver", "hanako")
    promoted = cli.ok("serve", "promote", "digits")
    assert promoted.lines == [f"digits  loading  revision 1, data {model}, is loading"]
    move(cli, 1, "loading", "live")
    cli.push("newer.onnx", "-t", "type:model")
    cli.ok("serve", "promote", "digits", "2")
    move(cli, 2, "loading", "live")

    back = cli.ok("serve", "rollback", "digits", model[:18], "--reason", "wrong on sevens", "--json").json
    assert (back["is_pinned"], back["revisions"][0]["reason"]) == (True, "rolled back by lena: wrong on sevens")
    assert shown(cli)["follows"] == "type:model (pinned)"
    move(cli, 1, "loading", "live")
    followed = cli.ok("serve", "follow", "digits", "--json").json
    assert [each["status"] for each in followed["revisions"]] == ["live", "loading"]
    assert shown(cli)["follows"] == "type:model"


def test_scale_changes_the_replicas_alone(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--data", model, "--canary", "0.5")

    assert cli.ok("serve", "scale", "digits", "0-4", "--idle", "10m").lines == ["digits  0 to 4 replicas"]
    assert cli.ok("serve", "scale", "digits", "2").lines == ["digits  2 replicas"]
    spec = cli.ok("serve", "spec", "digits", "--json").json
    assert (spec["scale"], spec["canary"]) == ({"least": 2, "most": 2, "idle": 600.0}, {"share": 0.5})
    assert cli("serve", "scale", "nothing", "2").code == 3
    assert cli("serve", "scale", "digits", "many").code == 2


def test_pause_resume_and_remove(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--data", model)

    assert cli.ok("serve", "pause", "digits", "-r", "bad data").lines[0].startswith("digits  paused")
    assert shown(cli)["state"] == "paused: bad data"
    assert cli.ok("serve", "resume", "digits").lines[0].startswith("digits  loading")
    assert cli.ok("serve", "rm", "digits").lines == ["digits is removed."]
    assert cli("serve", "show", "digits").code == 3
    assert cli.ok("serve", "list", "--json").json == []


def test_a_token_that_asks_and_does_nothing_else(cli: CommandLine, model: str) -> None:
    cli.ok("user", "add", "lena", "--admin")
    deploy(cli, "digits", "--data", model)

    text = cli.ok("serve", "token", "digits", "--name", "shop", "--for", "30d").lines[0]
    other = cli.ok("token", "create", "web", "--endpoint", "digits", "--json").json

    assert text.startswith("rkq_")
    assert (other["endpoint"], other["project"]) == ("digits", "default")
    listed = {each["name"]: each["endpoint"] for each in cli.ok("token", "list", "--json").json}
    assert listed == {"shop": "digits", "web": "digits"}
    assert "asking digits" in cli.ok("token", "list").text
    assert cli("serve", "token", "nothing").code == 3


def test_there_are_no_jobs_where_nobody_left_any(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--data", model)

    assert cli.ok("serve", "jobs", "digits", "--json").json == []


def test_ask_needs_one_thing_to_ask_and_a_server(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.folder / "state"))

    assert "Give one of a FILE, --body JSON and --test" in cli("serve", "ask", "digits").err
    assert "--body is no JSON" in cli("serve", "ask", "digits", "--body", "{").err
    nobody = cli("serve", "ask", "digits", "--test")
    assert (nobody.code, "Start `raykqi up`" in nobody.err) == (4, True)


def test_impact_lists_the_endpoints_that_saw_it_and_takes_them_off(cli: CommandLine) -> None:
    bad = cli.push("bad")
    model = cli.push("model.onnx", "--from", f"data={bad}")
    clean = cli.push("clean.onnx")
    deploy(cli, "digits", "--data", model)
    move(cli, 1, "loading", "live")
    deploy(cli, "other", "--data", clean)

    listed = cli.ok("lineage", "impact", bad, "--endpoints").lines
    assert [line.split()[:4] for line in listed] == [
        ["ENDPOINT", "STATE", "REVISION", "WAS"],
        ["digits", "live", "1", "live"],
    ]
    assert "digits" in cli.ok("lineage", "impact", bad).text

    unasked = cli("lineage", "impact", bad, "--pull")
    assert (unasked.code, "digits would be paused, and nobody can be asked" in unasked.err) == (2, True)
    assert cli.ok("serve", "show", "digits", "--json").json["is_paused"] is False

    pulled = cli.ok("lineage", "impact", bad, "--pull", "--yes", "--reason", "labels were swapped")
    assert pulled.lines[-1] == "digits is paused."
    record = cli.ok("serve", "show", "digits", "--json").json
    assert (record["is_paused"], record["reason"]) == (True, "labels were swapped")
    assert cli.ok("serve", "show", "other", "--json").json["is_paused"] is False
    assert cli.ok("lineage", "impact", bad, "--pull", "--yes", "--json").json == [
        {
            "name": "digits",
            "state": "paused",
            "serves": False,
            "revisions": [{"number": 1, "status": "live", "data": model}],
            "paused_now": False,
        }
    ]


def test_lineage_shows_endpoints_in_its_table_and_as_json(cli: CommandLine, model: str) -> None:
    deploy(cli, "digits", "--data", model)

    rows = [line.split() for line in cli.ok("lineage", "show", model).lines]
    assert any("endpoint" in row and "digits" in row for row in rows)
    (node,) = json.loads(cli.ok("lineage", "show", model, "--json").text)["endpoints"]
    assert (node["name"], node["status"]) == ("digits", "waiting")
