"""The Mermaid text: what it says, and that its grammar holds whatever people write."""

from __future__ import annotations

import html
import re

from hypothesis import given

from raykqi.domain.lineage import Lineage
from raykqi.rendering.mermaid import to_mermaid
from tests.unit.rendering import samples
from tests.unit.rendering.texts import lineages

# Inside quotes: letters and digits of any script, blanks, character codes, our line breaks, joined words. No markup.
LABEL = r'"(?:[^\x00-\x1f!-/:-@\[-`{-~]|#\d+;|<br/>|(?<=[^\W_])[-.](?=[^\W_]))+"'
LINES = (
    re.compile(r"flowchart LR"),
    re.compile(r"  %% to draw this, set maxEdges to \d+ and maxTextSize to \d+ in Mermaid"),
    re.compile(rf"  n\d+\[{LABEL}\]:::\w+"),
    re.compile(rf"  n\d+\(\[{LABEL}\]\):::\w+"),
    re.compile(rf"  n\d+\{{\{{{LABEL}\}}\}}:::\w+"),
    re.compile(rf"  n\d+ -->(?:\|{LABEL}\|)? n\d+"),
    re.compile(r"  classDef \w+ fill:#[0-9a-f]+,stroke:#[0-9a-f]+(?:,[a-z-]+:[#\w ]+)*"),
)


def decoded(line: str) -> list[str]:
    """The label of a line as a reader sees it."""
    found = re.search(r'"(.*)"', line)
    assert found
    return [html.unescape(part.replace("#", "&#")) for part in found[1].split("<br/>")]


def test_it_says_what_there_is_and_how_it_hangs_together() -> None:
    assert to_mermaid(samples.purged()).splitlines() == [
        "flowchart LR",
        '  n0["customer-records<br/>01a1f84a-95c0<br/>type#58;table<br/>contains#58;personal-data<br/>'
        'purged 2026-11-23 09#58;30 by 太郎"]:::purged',
        '  n1["features<br/>01a1f84c-6a80<br/>type#58;table<br/>85.8 MiB · 2026-11-20 09#58;32"]:::start',
        '  n2(["raykqi#35;uploaded<br/>done · 01a1f84b-8020"]):::run_done',
        '  n3(["anonymise<br/>done · 01a1f84d-54e0"]):::run_done',
        '  n2 -->|"data"| n0',
        '  n0 -->|"records"| n3',
        '  n3 -->|"features"| n1',
        "  classDef done fill:#ffffff,stroke:#3b7ddd,color:#1b2330",
        "  classDef purged fill:#ffffff,stroke:#8a94a6,color:#1b2330,stroke-dasharray:5 4",
        "  classDef run_done fill:#1f9d6b22,stroke:#1f9d6b",
        "  classDef start fill:#e4dcfa,stroke:#7c5cd6,stroke-width:3px,color:#1b2330",
    ]


def test_what_markdown_and_html_would_read_becomes_character_codes() -> None:
    builder = samples.Builder()
    builder.add_data('name:1. <b>"bold"</b> & `code` www.example.com a_b')

    line = to_mermaid(builder.lineage()).splitlines()[1]

    assert decoded(line)[0] == '1. <b>"bold"</b> & `code` www.example.com a_b'
    assert "1#46; #60;b#62;#34;bold#34;#60;#47;b#62; #38; #96;code#96; www#46;example.com a#95;b<br/>" in line


def test_a_lineage_beyond_the_usual_limits_says_which_to_raise() -> None:
    assert "%%" not in to_mermaid(samples.fan_in(30))
    assert "set maxEdges to 1399 and maxTextSize to" in to_mermaid(samples.chain(700)).splitlines()[1]


@given(lineages())
def test_any_text_leaves_the_grammar_whole(lineage: Lineage) -> None:
    text = to_mermaid(lineage)

    lines = text.removesuffix("\n").split("\n")
    assert [line for line in lines if not any(form.fullmatch(line) for form in LINES)] == []
    assert sum(" -->" in line for line in lines) == 3
