"""What users would write: the code of the function plans of these tests."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path


def write(made: Path, text: str = "") -> None:
    (made / "text").write_text(text, encoding="utf-8")


def mixed(made: Path, how: str, trace: str) -> None:
    with open(trace, "a", encoding="utf-8") as file:
        file.write(f"{how}\n")
    if how == "raise":
        raise ValueError("no such 値")
    if how == "sys.exit":
        sys.exit(3)
    if how == "hang":
        time.sleep(600)
    if how == "os._exit":
        os._exit(4)
    (made / "how").write_text(how, encoding="utf-8")


def linger(made: Path, flag: str) -> None:
    (made / "part").write_text("half", encoding="utf-8")
    Path(flag).touch()
    time.sleep(600)


def stubborn(made: Path, flag: str) -> None:
    Path(flag).touch()
    while True:
        with suppress(KeyboardInterrupt):
            time.sleep(600)


def surroundings(made: Path) -> None:
    environment = "".join(f"{name}={value}\n" for name, value in os.environ.items())
    (made / "environment").write_text(environment, encoding="utf-8")
    (made / "gpu").write_text(os.environ["CUDA_VISIBLE_DEVICES"], encoding="utf-8")
    (made / "pid").write_text(str(os.getpid()), encoding="utf-8")
