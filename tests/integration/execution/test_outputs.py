"""Whatever a command leaves behind is stored as far as data can hold it, and the rest is named."""

from __future__ import annotations

import pytest

from raykqi.domain.run import Exit
from raykqi.storage.receipts import delete_receipt, read_receipt
from raykqi.storage.trees import read_tree
from tests.integration.execution.orders import Node

MAKE_SOCKETS = """
import os, socket, sys
folder = sys.argv[1]
os.mkfifo(folder + '/pipe')
os.mkdir(folder + '/deep')
os.chdir(folder)
socket.socket(socket.AF_UNIX).bind('deep/sock')  # the whole path may be too long for one
open(folder + '/kept', 'w').write('kept')
"""
MAKE_FILES = """
import os, sys
for folder in range(int(sys.argv[2])):
    os.mkdir(f'{sys.argv[1]}/{folder}')
    for file in range(1000):
        os.close(os.open(f'{sys.argv[1]}/{folder}/{file}', os.O_CREAT | os.O_WRONLY))
"""


def test_a_command_that_writes_nothing_leaves_empty_data(each_node: Node) -> None:
    ended = each_node.run("true", outputs=("model", "metrics"))

    assert ended.exit == Exit(0)
    assert each_node.files(ended) == each_node.files(ended, "new-metrics") == {}
    assert each_node.log(ended) == b""


def test_sockets_and_pipes_are_left_out_and_named(each_node: Node) -> None:
    ended = each_node.run("python3", "-c", MAKE_SOCKETS, "{outputs.model}")

    assert ended.exit == Exit(0)
    assert each_node.files(ended) == {"kept": b"kept"}
    log = each_node.log(ended).decode()
    assert "output 'model': " in log
    assert "/pipe is a FIFO and was left out" in log
    assert "/deep/sock is a socket and was left out" in log


def test_links_out_of_an_output_are_stored_and_named(each_node: Node) -> None:
    ended = each_node.run(
        "sh", "-c", "cd {outputs.model}; mkdir a; ln -s /etc/passwd out; ln -s ../../up a/up; ln -s nowhere a/fine"
    )

    assert ended.exit == Exit(0)
    tree = read_tree(each_node.store, ended.stored[0].tree.hash)
    assert {entry.path: entry.object for entry in tree if entry.kind == "link"} == {
        "a/fine": "nowhere",
        "a/up": "../../up",
        "out": "/etc/passwd",
    }
    log = each_node.log(ended).decode()
    assert "/out is a link to /etc/passwd, outside of the output" in log
    assert "/a/up is a link to ../../up, outside of the output" in log
    assert "fine" not in log


def test_links_made_by_the_absolute_path_of_the_output_work_wherever_the_data_is_used(each_node: Node) -> None:
    make = "mkdir a; echo 1 > a/one; ln -s {outputs.model}/a/one a/latest; ln -s $PWD/a all"
    first = each_node.run("sh", "-c", "cd {outputs.model}; " + make)
    tree = first.stored[0].tree.hash

    second = each_node.run("cat", "{inputs.x}/a/latest", "{inputs.x}/all/one", inputs={"x": tree})

    assert each_node.log(second) == b"1\n1\n"


def test_an_output_folder_that_is_gone_is_empty_data(node: Node) -> None:
    ended = node.run("sh", "-c", "cd /; mv {outputs.model} {outputs.model}.gone || umount -l {outputs.model}; true")

    assert ended.exit == Exit(0)
    assert node.files(ended) == {}


def test_a_link_in_the_place_of_an_output_is_refused(node: Node) -> None:
    ended = node.run("sh", "-c", "cd /; rm -rf {outputs.model}; ln -s /etc {outputs.model}")

    assert ended.exit.code == 255
    assert "output 'model' could not be stored: " in ended.exit.message
    assert "is a link now" in ended.exit.message


def test_a_name_that_is_no_text_is_refused_but_other_outputs_are_stored(each_node: Node) -> None:
    script = "import os, sys; os.close(os.open(os.fsencode(sys.argv[1]) + b'/\\xff', os.O_CREAT))"

    ended = each_node.run("python3", "-c", script, "{outputs.model}", outputs=("model", "fine"))

    assert ended.exit.code == 255
    assert "is not valid UTF-8" in ended.exit.message
    assert [stored.data for stored in ended.stored] == ["new-fine"]


@pytest.mark.parametrize("thousands", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_many_thousand_files_are_stored_and_cleared(sandbox: Node, thousands: int) -> None:
    order = sandbox.order("python3", "-c", MAKE_FILES, "{outputs.model}", str(thousands))
    supervisor = sandbox.supervisor(order)

    ended = supervisor.run()
    supervisor.clear()

    assert ended.exit == Exit(0)
    assert ended.stored[0].tree.files == thousands * 1_000
    assert list((sandbox.folder / "runs").iterdir()) == []


def test_unreadable_outputs_are_made_readable(each_node: Node) -> None:
    ended = each_node.run("sh", "-c", "cd {outputs.model}; mkdir a; echo 1 > a/b; chmod 0 a/b a")

    assert ended.exit == Exit(0)
    assert each_node.files(ended) == {"a/b": b"1\n"}


def test_what_is_stored_again_is_whole_again(each_node: Node) -> None:
    order = each_node.order("sh", "-c", "head -c 2000000 /dev/zero > {outputs.model}/a; exit 4")
    supervisor = each_node.supervisor(order)
    first = supervisor.run()
    each_node.store.delete([item.key for folder in ("blobs/", "trees/") for item in each_node.store.list(folder)])

    again = supervisor.store_again()

    assert (again.exit, again.stored) == (first.exit, first.stored)
    assert each_node.files(again) == {"a": bytes(2_000_000)}


def test_a_receipt_of_the_end_lies_in_the_store(each_node: Node) -> None:
    ended = each_node.run("true")

    assert read_receipt(each_node.store, ended.attempt) == ended
    delete_receipt(each_node.store, ended.attempt)
    assert read_receipt(each_node.store, ended.attempt) is None


def test_what_a_run_relies_on_and_did_not_write_is_told(node: Node) -> None:
    node.run("sh", "-c", "head -c 2000000 /dev/zero > {outputs.model}/a")

    ended = node.run("sh", "-c", "head -c 2000000 /dev/zero > {outputs.model}/a")

    assert {key.partition("/")[0] for key in ended.reused} == {"blobs", "trees"}


def test_use_of_cpu_and_memory_is_measured(each_node: Node) -> None:
    burn = "import time; x = bytearray(80 << 20)\nwhile time.process_time() < 0.7: pass"

    ended = each_node.run("sh", "-c", f"python3 -c '{burn}'; true")

    assert 0.5 < ended.usage.cpu < 5
    assert ended.usage.wall >= 0.7
    assert 80 << 20 < ended.usage.memory < 400 << 20
