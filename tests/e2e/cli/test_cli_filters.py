"""`--filter FIELD=EXPR` on lists of data, plans and runs."""

from __future__ import annotations

from tests.e2e.cli.conftest import CommandLine

PLAN = """
name: {name}
command: [/bin/sh, -c, "true"]
inputs: [{{path: /in/data, tags: ["type:photos"]}}]
"""


def test_data_are_filtered_by_several_fields(cli: CommandLine) -> None:
    cli.write("small/a", "a")
    cli.write("large/a", "a" * 5000)
    small = cli.ok("data", "push", "small", "-n", "-t", "type:photos").lines[0]
    large = cli.ok("data", "push", "large", "-n").lines[0]

    assert cli.ok("data", "find", "--filter", "size=>=5kB", "-q").lines == [large]
    assert cli.ok("data", "find", "--filter", "size=<5kB", "--filter", "name=mall", "-q").lines == [small]
    assert cli.ok("data", "find", "--filter", "tag=!type:photos", "-q").lines == [large]


def test_plans_and_runs_are_filtered(cli: CommandLine) -> None:
    for name in ("train", "score"):
        cli.ok("plan", "apply", str(cli.write(f"{name}.yaml", PLAN.format(name=name))))
    cli.ok("plan", "deactivate", "score")
    cli.push("photos", "-t", "type:photos")

    assert [plan["name"] for plan in cli.ok("plan", "find", "--filter", "active=no", "--json").json] == ["score"]
    assert [run["title"] for run in cli.ok("run", "find", "--filter", "plan=trai", "--json").json] == ["train"]
    assert [run["title"] for run in cli.ok("run", "find", "--filter", "status=!waiting", "--json").json] == ["score"]


def test_what_is_no_filter_is_refused_with_the_fields_that_there_are(cli: CommandLine) -> None:
    result = cli("data", "find", "--filter", "memo=x", "--json")

    assert result.code == 2
    assert result.error["message"] == "data have no field 'memo' to filter by"
    assert cli("run", "find", "--filter", "plan").code == 2
