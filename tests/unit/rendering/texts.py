"""Arbitrary text for names, tags and reasons, with what breaks languages well represented."""

from __future__ import annotations

from hypothesis import strategies as st

from raykqi.domain.lineage import Lineage
from tests.unit.rendering.samples import Builder

NASTY = st.sampled_from(
    [
        "",
        " ",
        "<script>alert(1)</script>",
        "]]>",
        "--> n1",
        '"];x',
        "\\",
        'a\\"b',
        "\\N \\G \\L",
        "&amp; &#0; &bogus;",
        "line\nbreak\r\n",
        "tab\tNUL\0bell\x07\x1b[31m",
        "end",
        "1. list",
        "- item",
        "`code` **bold** __init__",
        "%% comment %%{init}%%",
        "#quot; #35;",
        "fa:fa-car",
        "手書き文字の画像データセット" * 8,
        "👩‍🔬 e\u0301",
        "\u202eright to left",
        "\ud800 lone",
        "\ufffe\uffff\U0001fffe",
        "x" * 2000,
    ]
)
TEXTS = st.one_of(NASTY, st.text(max_size=40), st.text("<>\"'&\\[]{}()|#;-`*_%:/@\n", max_size=20))


@st.composite
def lineages(draw: st.DrawFn) -> Lineage:
    """One purged data, one run, one result that is served: all of their texts arbitrary."""
    builder = Builder()
    source = builder.add_data(*(f"{draw(TEXTS)}:{draw(TEXTS)}" for _ in range(draw(st.integers(0, 3)))))
    result = builder.add_data(f"name:{draw(TEXTS)}", f"{draw(TEXTS)}:{draw(TEXTS)}")
    builder.add_run(draw(TEXTS), {draw(TEXTS): source}, {draw(TEXTS): result})
    builder.serve(draw(TEXTS), {draw(TEXTS): result})
    builder.entomb(source, draw(TEXTS))
    return builder.lineage(result, cut=(source,))
