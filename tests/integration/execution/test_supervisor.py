"""One attempt from order to stored outputs, over both launchers."""

from __future__ import annotations

from raykqi.domain.order import Completing, Running
from raykqi.domain.run import Exit
from tests.integration.execution.orders import Node


def test_a_command_reads_inputs_and_its_outputs_are_stored(each_node: Node) -> None:
    dataset = each_node.data({"a.txt": b"one\n", "deep/b.txt": b"two\n"})

    ended = each_node.run(
        "sh",
        "-c",
        "echo reading; cat {inputs.dataset}/a.txt {inputs.dataset}/deep/b.txt > {outputs.model}/sum; echo said >&2",
        inputs={"dataset": dataset},
        log="new-log",
    )

    assert ended.exit == Exit(0, "")
    assert each_node.files(ended) == {"sum": b"one\ntwo\n"}
    assert each_node.files(ended, "new-log") == {"log": b"reading\nsaid\n"}
    assert each_node.log(ended) == b"reading\nsaid\n"
    assert each_node.reports == [Running(ended.attempt, "node-1"), Completing(ended.attempt)]
    assert ended.node == "node-1"
