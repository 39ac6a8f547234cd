"""The first minute with raykqi: push a directory, make something of it, find it, pull it back, see where it came from.

    make quickstart        or        python -m examples.quickstart

Everything happens in ./.quickstart, which is made anew each time.
"""

from __future__ import annotations

import csv
import os
import shutil
import sys
import time
from pathlib import Path

import raykqi

HERE = Path(".quickstart")
SOURCE = Path(__file__).resolve().parent.parent / "docs"
COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def main() -> None:
    began = time.perf_counter()
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    url = HERE / "workspace"

    step("A workspace is one folder (or one s3:// prefix)", f"raykqi init {url}")
    raykqi.init(url)

    with raykqi.open(url) as ws:
        step(
            "Push a real directory with its tags: here, raykqi's documentation",
            "raykqi data push docs -n -t type:documents …",
        )
        documents = ws.push(SOURCE, ["type:documents", "language:en"], name=True)
        say(
            f"data {documents.id}: {documents.tree.files} files, "
            f"{documents.tree.size:,} bytes, in one step, verified by hash"
        )
        again = ws.push(SOURCE, ["type:documents", "language:en", "copy:yes"])
        say(f"data {again.id}: the same bytes once more, stored once (tree {again.tree.hash[:12]} both times)")

        step("Make something of it, and say what it was made of", "raykqi data push counts --from documents=ID …")
        counts = ws.push(count_words(), ["type:statistics", "単位:語"], name=True, inputs={"documents": documents.id})
        report = ws.push(write_report(), ["type:report"], name=True, inputs={"counts": counts.id})
        say(f"data {counts.id} of {documents.id}\ndata {report.id} of {counts.id}")

        step("Tag, and find by tags", "raykqi data tag ID --add stage:reviewed; raykqi data find -t …")
        ws.tag([counts.id, report.id], add=["stage:reviewed"])
        for data in ws.find("stage:reviewed", "!type:documents"):
            say(f"found {data.id}  {' '.join(map(str, data.tags))}")

        step("Pull: what was pushed is what comes back", f"raykqi data pull {documents.id[:13]} …")
        ws.pull(documents.id, HERE / "pulled")
        files = [path for path in SOURCE.rglob("*") if path.is_file()]
        same = all((HERE / "pulled" / path.relative_to(SOURCE)).read_bytes() == path.read_bytes() for path in files)
        say(f"{documents.tree.files} files verified while they were written; equal to the source: {same}")

        step("Where did the report come from?", f"raykqi lineage show {report.id[:13]} -o lineage.svg")
        lineage = ws.lineage(report.id)
        say(raykqi.draw(lineage))
        (HERE / "lineage.svg").write_text(raykqi.draw(lineage, "svg"), encoding="utf-8")
        say(f"the picture: {HERE / 'lineage.svg'}")

        step("Is everything as promised?", "raykqi fsck")
        say("clean" if ws.fsck(deep=True).clean else "something is wrong: run `raykqi fsck`")

    print(
        f"\nDone in {time.perf_counter() - began:.1f} s. Next, in this workspace:\n"
        f"  . .venv/bin/activate; export RAYKQI_WORKSPACE={url}\n"
        f"  raykqi data find                          what is there\n"
        f"  raykqi lineage show {report.id[:18]}    the same lineage in the terminal\n"
        f"  raykqi data rm {again.id[:18]} --reason 'a copy' && raykqi gc --dry-run\n"
        f"  raykqi doctor                             is all well\n"
        f"  raykqi --help                             everything else; guides are in docs/guide"
    )


def count_words() -> Path:
    """A table of the documents and their words."""
    folder = HERE / "counts"
    folder.mkdir()
    with (folder / "words.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "words"])
        for path in sorted(SOURCE.rglob("*.md")):
            table.writerow([path.relative_to(SOURCE), len(path.read_text(encoding="utf-8").split())])
    return folder


def write_report() -> Path:
    folder = HERE / "report"
    folder.mkdir()
    with (HERE / "counts" / "words.csv").open(encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -int(row["words"]))
    lines = [f"- {row['file']}: {row['words']}" for row in rows[:5]]
    (folder / "report.md").write_text("# The longest documents\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return folder


def step(title: str, command: str) -> None:
    print(f"\n\033[1m{title}\033[0m\n  $ {command}" if COLOURED else f"\n{title}\n  $ {command}")


def say(text: str) -> None:
    print("\n".join(f"  {line}" for line in text.splitlines()))


if __name__ == "__main__":
    main()
