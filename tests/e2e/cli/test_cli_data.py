"""`raykqi data` over a real workspace: what goes in, what is found, what comes out, what changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import CommandLine


def test_pushed_data_is_found_by_its_tags_and_name(cli: CommandLine) -> None:
    cli.write("写真/朝.txt", "おはよう")
    data = cli.ok("data", "push", "写真", "-n", "-t", "type:dataset", "-t", "言語:日本語").lines[0]
    cli.push("other.txt", "-t", "type:model")

    found = cli.ok("data", "find", "-t", "言語:日本語", "--name", "写真", "--json").json

    assert [item["id"] for item in found] == [data]
    assert found[0]["tags"] == ["name:写真", "type:dataset", "言語:日本語"]
    assert (found[0]["name"], found[0]["size"], found[0]["files"]) == ("写真", 12, 1)
    assert (found[0]["creator"], found[0]["status"], found[0]["project"]) == ("lena", "done", "default")
    assert found[0]["upstream"]["plan"] == "raykqi#uploaded"


def test_several_sources_become_one_data_each_in_their_order(cli: CommandLine) -> None:
    for name in ("a", "b"):
        cli.write(name)

    ids = cli.ok("data", "push", "a", "b", "-n").lines

    assert [cli.ok("data", "show", data, "--json").json["name"] for data in ids] == ["a", "b"]


def test_what_was_pushed_before_a_source_failed_is_told(cli: CommandLine) -> None:
    cli.write("a")

    result = cli("data", "push", "a", "missing", "--json")

    assert result.code == 2
    assert [item["files"] for item in result.json] == [1]
    assert "missing" in result.error["message"]


def test_data_pushed_with_from_has_those_as_upstream(cli: CommandLine) -> None:
    raw, extra = cli.push("raw"), cli.push("extra")

    made = cli.push("made", "--from", f"images={raw}", "--from", extra)

    edges = cli.ok("lineage", "show", made, "-u", "--json").json["edges"]
    assert {(edge["name"], edge["source"]) for edge in edges if edge["kind"] == "input"} == {
        ("images", raw),
        ("from-2", extra),
    }


@pytest.mark.parametrize("given", ["=0193", "name="])
def test_a_half_written_from_is_refused(cli: CommandLine, given: str) -> None:
    cli.write("a")

    result = cli("data", "push", "a", "--from", given)

    assert (result.code, result.err.splitlines()[0]) == (2, f"error: --from {given!r} has no name or no id")


def test_the_table_shows_a_short_id_that_can_be_used(cli: CommandLine) -> None:
    data = cli.push("photos", "-n", "-t", "type:dataset")

    header, row = cli.ok("data", "find").lines

    assert header.split() == ["ID", "NAME", "TAGS", "SIZE", "FILES", "WHEN"]
    assert row.split()[1:-2] == ["photos", "type:dataset", "17", "B", "1"]
    short = row.split()[0]
    assert len(short) >= 13
    assert data.startswith(short)
    assert cli.ok("data", "show", short, "--json").json["id"] == data
    assert cli.ok("lineage", "show", short, "--json").json["start"] == [data]


def test_wide_characters_align_in_the_table(cli: CommandLine) -> None:
    cli.push("写真", "-n", "-t", "a:b")
    cli.push("plain", "-n", "-t", "a:b")

    _, plain, wide = cli.ok("data", "find").lines

    assert plain.index("a:b") == wide.index("a:b") + len("写真")


def test_find_narrows_by_every_condition(cli: CommandLine) -> None:
    small = cli.push("small", "-t", "k:a", "-t", "split:train")
    cli.write("large", "x" * 5000)
    large = cli.push("large", "-t", "k:a", "-t", "split:test")
    run = cli.ok("data", "show", small, "--json").json["upstream"]["run"]

    def ids(*options: str) -> list[str]:
        return cli.ok("data", "find", "-q", *options).lines

    assert ids() == [large, small]
    assert ids("--oldest-first") == [small, large]
    assert ids("-t", "k:a", "-t", "!split:test") == [small]
    assert ids("--without", "split:train") == [large]
    assert ids("--min-size", "4KB") == [large]
    assert ids("--max-size", "4KiB") == [small]
    assert ids("--id", large) == [large]
    assert ids("--run", run) == [small]
    assert ids("--creator", "lena") == [large, small]
    assert ids("--creator", "somebody") == []
    assert ids("--since", "1h") == [large, small]
    assert ids("--until", "1h") == []
    assert ids("--duration", "1h") == [large, small]
    assert ids("--since", "3h", "--duration", "1h") == []
    assert ids("--limit", "1") == [large]


def test_a_table_stops_at_50_and_a_script_gets_everything(cli: CommandLine) -> None:
    for number in range(52):
        cli.write(f"f{number}", str(number))
    cli.ok("data", "push", *(f"f{number}" for number in range(52)))

    assert len(cli.ok("data", "find").lines) == 1 + 50
    assert len(cli.ok("data", "find", "--limit", "all").lines) == 1 + 52
    assert len(cli.ok("data", "find", "-q").lines) == 52
    assert len(cli.ok("data", "find", "--json").json) == 52


def test_transient_tells_usable_data_from_the_rest(cli: CommandLine) -> None:
    kept, gone = cli.push("kept"), cli.push("gone")
    cli.ok("data", "purge", gone, "--reason", "old")

    def ids(state: str) -> list[str]:
        return cli.ok("data", "find", "-q", "--transient", state).lines

    assert (ids("no"), ids("yes"), ids("purged"), ids("failed")) == ([kept], [gone], [gone], [])


def test_nothing_found_is_an_empty_answer_and_no_error(cli: CommandLine) -> None:
    assert cli.ok("data", "find").out == b""
    assert cli.ok("data", "find", "--json").json == []


def test_show_tells_all_about_one_data(cli: CommandLine) -> None:
    data = cli.push("photos", "-n", "-t", "type:dataset")

    lines = [line.split(maxsplit=1) for line in cli.ok("data", "show", data).lines]

    facts = dict(line for line in lines if len(line) == 2)
    assert (facts["id"], facts["name"], facts["size"]) == (data, "photos", "17 B in 1 file")
    assert facts["tags"] == "name:photos"
    assert ["type:dataset"] in lines


def test_ls_and_cat_show_what_is_in_data(cli: CommandLine) -> None:
    cli.write("d/a.txt", "alpha")
    cli.write("d/sub/日本 語.txt", "beta\n")
    (cli.folder / "d/link").symlink_to("a.txt")
    (cli.folder / "d/a.txt").chmod(0o640)
    (cli.folder / "d/sub").chmod(0o755)
    data = cli.push("d")

    assert cli.ok("data", "ls", data).lines == ["a.txt", "link", "sub", "sub/日本 語.txt"]
    assert cli.ok("data", "ls", data, "**/*.txt").lines == ["a.txt", "sub/日本 語.txt"]
    assert cli.ok("data", "ls", "-l", data).lines[:3] == [
        "-rw-r-----  5 B  a.txt",
        "lrwxrwxrwx       link -> a.txt",
        "drwxr-xr-x       sub/",
    ]
    listed = {item["path"]: item for item in cli.ok("data", "ls", data, "--json").json}
    assert listed["link"]["target"] == "a.txt"
    assert (listed["a.txt"]["mode"], listed["a.txt"]["size"], listed["a.txt"]["kind"]) == ("640", 5, "file")
    assert cli.ok("data", "cat", data, "sub/日本 語.txt").out == b"beta\n"


def test_cat_gives_exactly_the_bytes(cli: CommandLine) -> None:
    content = bytes(range(256)) * 5000
    (cli.folder / "raw").write_bytes(content)

    assert cli.ok("data", "cat", cli.push("raw"), "raw").out == content


def test_pull_writes_to_a_folder_of_the_datas_name(cli: CommandLine) -> None:
    cli.write("made/one.txt", "1")
    cli.write("made/two.bin", "22")
    data = cli.push("made", "-t", "name:results")

    assert cli.ok("data", "pull", data).lines == ["results"]
    assert sorted(os.listdir("results")) == ["one.txt", "two.bin"]
    assert cli.ok("data", "pull", data, "part", "-g", "*.bin", "--json").json == {
        "data": data,
        "path": "part",
        "files": 1,
        "size": 2,
    }
    assert os.listdir("part") == ["two.bin"]


@pytest.mark.parametrize("name", ["../up", "/abs", "..", "-rf", "a\x1b[2J", "x" * 300])
def test_a_name_tag_never_chooses_a_place_elsewhere(cli: CommandLine, name: str) -> None:
    data = cli.push("made", "-t", f"name:{name}")

    assert cli.ok("data", "pull", data).lines == [data]
    assert Path(data, "made").is_file()


def test_pull_refuses_a_folder_in_use_unless_told_to_overwrite(cli: CommandLine) -> None:
    data = cli.push("made")
    cli.write("there/mine.txt")

    refused = cli("data", "pull", data, "there")

    assert refused.code == 4
    assert "--overwrite" in refused.err
    cli.ok("data", "pull", data, "there", "--overwrite")
    assert sorted(os.listdir("there")) == ["made", "mine.txt"]


def test_links_out_of_the_data_are_written_only_when_allowed(cli: CommandLine) -> None:
    cli.write("d/a.txt")
    (cli.folder / "d/out").symlink_to("/nowhere/else")
    data = cli.push("d")

    refused, read = cli("data", "pull", data, "there"), cli("data", "cat", data, "out")

    assert (refused.code, Path("there").exists()) == (2, False)
    assert "give --allow-unsafe-links" in refused.err
    assert (read.code, "'out' leads out of the data" in read.err) == (2, True)
    cli.ok("data", "pull", data, "there", "--allow-unsafe-links")
    assert os.readlink("there/out") == "/nowhere/else"
    assert Path("there/a.txt").read_text() == "x"


def test_tags_change_in_one_step_and_only_what_changed_is_told(cli: CommandLine) -> None:
    data = cli.push("made", "-t", "a:1", "-t", "a:2", "-t", "b:1")

    tried = cli.ok("data", "tag", data, "--add", "c:1", "--remove-key", "a", "--dry-run", "--json").json
    assert cli.ok("data", "show", data, "--json").json["tags"] == ["a:1", "a:2", "b:1"]
    done = cli.ok("data", "tag", data, "--add", "c:1", "--add", "b:1", "--remove-key", "a", "--json").json

    assert tried == done == [{"data": data, "removed": ["a:1", "a:2"], "added": ["c:1"]}]
    assert cli.ok("data", "show", data, "--json").json["tags"] == ["b:1", "c:1"]
    assert cli.ok("data", "tag", data, "--add", "d:1", "--remove", "b:1").lines == [f"{data}  -b:1  +d:1"]


def test_ids_may_come_from_stdin(cli: CommandLine) -> None:
    one, other = cli.push("one"), cli.push("other")

    changed = cli.ok("data", "tag", "-", "--add", "x:y", "--json", stdin=f"{one}\n\n{other}  some words\n").json

    assert [change["data"] for change in changed] == [one, other]


def test_removed_data_is_in_no_list_any_more(cli: CommandLine) -> None:
    data = cli.push("made")

    assert cli.ok("data", "rm", data, "--reason", "wrong", "--dry-run").lines == [data]
    assert cli.ok("data", "find", "-q").lines == [data]
    assert cli.ok("data", "rm", data, "--reason", "wrong", "--json").json == [data]

    assert cli.ok("data", "find", "-q").lines == []
    assert "removed" in cli.ok("lineage", "show", data).text
    assert "by lena: wrong" in cli.ok("lineage", "show", data).text


def test_purged_data_keeps_its_record_and_loses_its_bytes(cli: CommandLine) -> None:
    data = cli.push("made", "-n")

    assert cli.ok("data", "purge", data, "--reason", "old").lines == [data]

    assert cli.ok("data", "show", data, "--json").json["status"] == "purged"
    result = cli("data", "cat", data, "made")
    assert (result.code, data in result.err) == (3, True)


def test_show_tells_who_gave_data_up_when_and_why(cli: CommandLine) -> None:
    purged, removed = cli.push("purged"), cli.push("removed")
    cli.ok("data", "purge", purged, "--reason", "licence ended")
    cli.ok("data", "purge", removed, "--reason", "契約の終了")
    cli.ok("data", "rm", removed, "--reason", "wrong")

    def stones(data: str) -> list[list[str]]:
        lines = [line.split(maxsplit=3) for line in cli.ok("data", "show", data).lines]
        return [[line[0], line[3]] for line in lines if line[0] in ("purged", "removed")]

    assert stones(purged) == [["purged", "by lena: licence ended"]]
    assert stones(removed) == [["purged", "by lena: 契約の終了"], ["removed", "by lena: wrong"]]
    (stone,) = cli.ok("data", "show", purged, "--json").json["tombstones"]
    assert datetime.now(UTC) - datetime.fromisoformat(stone.pop("at")) < timedelta(minutes=5)
    assert stone == {"kind": "purged", "by": "lena", "reason": "licence ended"}
    assert cli.ok("data", "show", cli.push("kept"), "--json").json["tombstones"] == []


def test_a_reason_is_required(cli: CommandLine) -> None:
    data = cli.push("made")

    assert cli("data", "rm", data).code == 2
    assert cli("data", "rm", data, "--reason", " ").code == 2
    assert cli.ok("data", "find", "-q").lines == [data]


def test_tags_in_use_are_counted(cli: CommandLine) -> None:
    cli.push("a", "-t", "type:x", "-t", "split:train")
    cli.push("b", "-t", "type:x", "-t", "split:test")

    assert cli.ok("tag", "list", "--json").json == [
        {"key": "type", "value": "x", "count": 2},
        {"key": "split", "value": "test", "count": 1},
        {"key": "split", "value": "train", "count": 1},
    ]
    assert [line.split() for line in cli.ok("tag", "list", "--key", "type").lines] == [["DATA", "TAG"], ["2", "type:x"]]
    assert [item["value"] for item in cli.ok("tag", "list", "--prefix", "split:tr", "--json").json] == ["train"]
