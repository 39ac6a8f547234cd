"""Proxies that outlived their Ray end with it, and nobody else's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from raykqi.cluster.proxies import end_proxies


def start(program: Path, folder: Path) -> subprocess.Popen[bytes]:
    """A process that is called as a proxy is, with its files in the folder."""
    script = "read line"
    return subprocess.Popen([program, "-c", script, f"{folder}/haproxy.cfg"], stdin=subprocess.PIPE)


def test_only_the_proxies_of_this_folder_end(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell
    program = tmp_path / "haproxy"
    shutil.copy(shell, program)
    ours, others, no_proxy = (
        start(program, tmp_path / "ours"),
        start(program, tmp_path / "ours-not"),
        start(Path(shell), tmp_path / "ours"),
    )
    try:
        end_proxies(tmp_path / "ours")

        assert ours.wait(10) == -9
        assert (others.poll(), no_proxy.poll()) == (None, None)
    finally:
        for process in (ours, others, no_proxy):
            process.kill()
            process.wait()
            assert process.stdin
            process.stdin.close()
