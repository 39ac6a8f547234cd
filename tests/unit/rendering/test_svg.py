"""The SVG: complete, well-formed whatever people write, the same every time, and no depth too deep for it."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given

from raykqi.domain.lineage import Lineage
from raykqi.rendering.labels import nodes_of
from raykqi.rendering.svg import to_svg
from tests.unit.rendering import samples
from tests.unit.rendering.texts import lineages

SVG = "{http://www.w3.org/2000/svg}"


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.encode())


def groups(svg: str) -> dict[str, ElementTree.Element]:
    return {group.attrib["data-id"]: group for group in parse(svg).iter(f"{SVG}g") if "data-id" in group.attrib}


def words(element: ElementTree.Element) -> list[str]:
    return ["".join(text.itertext()) for text in element.iter(f"{SVG}text")]


def test_every_node_and_every_edge_is_drawn() -> None:
    lineage = samples.pipeline()

    svg = to_svg(lineage)

    assert set(groups(svg)) == {node.id for node in nodes_of(lineage)}
    assert svg.count('class="edge"') == len(lineage.edges) == 19


def test_a_card_tells_name_id_tags_size_and_day() -> None:
    lineage = samples.pipeline()

    card = groups(to_svg(lineage))[lineage.data[0].id]

    assert words(card) == [
        "手書き文字の画像",
        "01a1f84a-95c0",
        "type image",
        "source 社内スキャナ",
        "1.2 GiB · 60,000 files · 2026-11-20 09:30",
    ]


def test_a_pill_tells_plan_and_state() -> None:
    lineage = samples.pipeline()
    failed = next(run for run in lineage.runs if run.status == "failed")

    pill = groups(to_svg(lineage))[failed.id]

    assert pill.attrib["class"] == "run failed"
    assert words(pill) == ["train-resnet", "failed · 01a1f856-7ca0"]


def test_what_was_asked_for_is_highlighted() -> None:
    lineage = samples.pipeline()

    svg = to_svg(lineage)

    assert [node for node, group in groups(svg).items() if "start" in group.attrib["class"].split()] == [
        lineage.start[0]
    ]
    assert svg.count('class="halo"') == 1


def test_a_purged_data_is_dashed_and_tells_why() -> None:
    lineage = samples.purged()

    group = groups(to_svg(lineage))[lineage.data[0].id]

    assert group.attrib["class"] == "data purged gone"
    assert "purged 2026-11-23 09:30 by 太郎" in words(group)
    assert "deletion requested <GDPR> & 本人の依頼" in (group.findtext(f"{SVG}title") or "")
    assert ".gone .frame{stroke-width:1.4;stroke-dasharray:5 4}" in to_svg(lineage)


def test_nodes_whose_neighbours_were_left_out_are_marked() -> None:
    svg = to_svg(samples.cut())

    assert words(parse(svg)).count("…") == 3
    assert "goes on at …" in svg


def test_tags_that_find_no_place_are_counted() -> None:
    builder = samples.Builder()
    builder.add_data("name:n", *(f"key{index}:a rather long value {index}" for index in range(9)))

    (group,) = groups(to_svg(builder.lineage())).values()

    assert [word for word in words(group) if word.startswith("+")] == ["+7"]


def test_long_names_end_in_an_ellipsis_and_stay_whole_in_the_title() -> None:
    builder = samples.Builder()
    name = "非常に長い名前のデータセット" * 4
    builder.add_data(f"name:{name}")

    (group,) = groups(to_svg(builder.lineage())).values()

    # The broadest card holds 17 wide characters and the ellipsis.
    assert words(group)[0] == name[:17] + "…"
    assert f"name:{name}" in (group.findtext(f"{SVG}title") or "")


def test_the_same_lineage_gives_the_same_picture() -> None:
    assert to_svg(samples.mesh(4, 6)) == to_svg(samples.mesh(4, 6))


def test_dark_and_light_are_both_in_it() -> None:
    svg = to_svg(samples.cut())

    assert svg.count("@media (prefers-color-scheme:dark)") == 1
    assert ".ground{fill:#f6f7f9}" in svg
    assert ".ground{fill:#12161d}" in svg


def test_it_needs_nothing_from_outside() -> None:
    svg = to_svg(samples.pipeline())

    assert re.findall(r"https?://[^\"]*|url\((?!#)", svg) == ["http://www.w3.org/2000/svg"]
    assert "href" not in svg


def test_an_empty_lineage_is_a_picture_too() -> None:
    assert words(parse(to_svg(Lineage((), (), (), ())))) == ["Lineage of nothing", "0 data · 0 runs"]


def test_edges_to_nodes_that_are_not_there_are_left_out() -> None:
    lineage = samples.chain(3)
    torn = Lineage(lineage.start, lineage.data[1:], lineage.runs, lineage.edges, cut=("nowhere",))

    assert to_svg(torn).count('class="edge"') == len(lineage.edges) - 2


@pytest.mark.parametrize(
    ("lineage", "nodes"),
    [(samples.chain(5000), 10_000), (samples.fan_in(1000), 2_002), (samples.mesh(25, 200), 9_800)],
    ids=["5,000 deep", "1,000 into one", "10,000 wide"],
)
def test_great_lineages_are_drawn_whole(lineage: Lineage, nodes: int) -> None:
    svg = to_svg(lineage)

    assert svg.count("data-id=") == nodes
    assert svg.count('class="edge"') == len(lineage.edges)


@given(lineages())
def test_any_text_leaves_it_well_formed(lineage: Lineage) -> None:
    svg = to_svg(lineage)

    assert len(groups(svg)) == 4
    assert "script" not in {element.tag.removeprefix(SVG) for element in parse(svg).iter()}
