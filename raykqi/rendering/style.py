"""The colours and fonts of lineage pictures: one light and one dark theme, as CSS without variables.

Every renderer of SVG understands plain class rules; those that know `prefers-color-scheme` follow it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DARK", "ENDPOINT_COLOURS", "LIGHT", "RUN_COLOURS", "STATE_COLOURS", "Theme", "stylesheet"]

GREEN, BLUE, AMBER, RED, GREY = "#1f9d6b", "#3b7ddd", "#d9920a", "#d64550", "#8a94a6"

# Read on light and on dark ground.
STATE_COLOURS = {"done": BLUE, "processing": AMBER, "failed": RED, "purged": GREY, "removed": GREY}
RUN_COLOURS = {
    "deactivated": GREY,
    "waiting": GREY,
    "ready": GREY,
    "starting": AMBER,
    "running": AMBER,
    "completing": AMBER,
    "aborting": AMBER,
    "done": GREEN,
    "failed": RED,
    "invalidated": GREY,
}

ENDPOINT_COLOURS = {"live": GREEN, "waiting": AMBER, "paused": GREY, "removed": GREY}

FONTS = (
    "text{font-family:-apple-system,'Segoe UI',Roboto,'Helvetica Neue','Noto Sans','Hiragino Sans','Noto Sans CJK JP',"
    "'Noto Sans JP','Yu Gothic UI',Meiryo,sans-serif}"
    ".name{font-size:13.5px;font-weight:600}.unnamed{font-weight:400;font-style:italic}"
    ".plan{font-size:12.5px;font-weight:600}.builtin .plan{font-weight:400}"
    ".facts{font-size:10.5px}.key,.value{font-size:10px}"
    ".id{font-size:10.5px;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace}"
    ".port{font-size:10px;paint-order:stroke;stroke-width:4px;stroke-linejoin:round}"
    ".heading{font-size:16px;font-weight:600}.subheading{font-size:11.5px}"
    ".more{font-size:15px;font-weight:700}"
)
SHAPES = (
    ".edge{fill:none;stroke-width:1.4}.stub{fill:none;stroke-width:1.6;stroke-dasharray:.1 4;stroke-linecap:round}"
    ".frame{stroke-width:1}.gone .frame{stroke-width:1.4;stroke-dasharray:5 4}.start .frame{stroke-width:2}"
)


class Theme(NamedTuple):
    ground: str
    card: str
    border: str
    ink: str
    muted: str
    chip: str
    chip_key: str
    edge: str
    start: str
    halo: str


LIGHT = Theme(
    ground="#f6f7f9",
    card="#ffffff",
    border="#d9dee7",
    ink="#1b2330",
    muted="#68738a",
    chip="#eef1f6",
    chip_key="#7b869b",
    edge="#9aa5b8",
    start="#7c5cd6",
    halo="#e4dcfa",
)
DARK = Theme(
    ground="#12161d",
    card="#1c222c",
    border="#333c4a",
    ink="#e8ecf3",
    muted="#97a3b6",
    chip="#2a323f",
    chip_key="#8d99ac",
    edge="#5d6a7f",
    start="#a68df0",
    halo="#33294f",
)


def stylesheet() -> str:
    return f"{FONTS}{SHAPES}{_theme(LIGHT)}{_states()}@media (prefers-color-scheme:dark){{{_theme(DARK)}}}"


def _theme(theme: Theme) -> str:
    return (
        f".ground{{fill:{theme.ground}}}.data .frame{{fill:{theme.card};stroke:{theme.border}}}"
        f".name,.plan,.heading,.value{{fill:{theme.ink}}}"
        f".id,.facts,.subheading,.more,.gone .name,.gone .value{{fill:{theme.muted}}}"
        f".chip{{fill:{theme.chip}}}.key{{fill:{theme.chip_key}}}"
        f".edge,.stub,.gone .frame{{stroke:{theme.edge}}}.tip{{fill:{theme.edge}}}"
        f".port{{fill:{theme.muted};stroke:{theme.ground}}}"
        f".halo{{fill:{theme.halo}}}g.start .frame{{stroke:{theme.start}}}"
    )


def _states() -> str:
    """Runs and endpoints are tinted by their state; what the system does by itself stays plain."""
    bars = "".join(f".{state} .bar{{fill:{colour}}}" for state, colour in STATE_COLOURS.items())
    pills = "".join(
        f".run.{state} .dot,.run.{state} .frame{{fill:{colour};stroke:{colour}}}"
        for state, colour in RUN_COLOURS.items()
    )
    pills += "".join(
        f".endpoint.{state} .dot,.endpoint.{state} .frame{{fill:{colour};stroke:{colour}}}"
        for state, colour in ENDPOINT_COLOURS.items()
    )
    tint = ".endpoint .frame{fill-opacity:.1;stroke-width:1.6}.endpoint .dot{stroke:none}"
    tint += ".run .frame{fill-opacity:.1;stroke-opacity:.5}.run .dot{stroke:none}.builtin .frame{fill-opacity:.03}"
    tint += ".other .frame{fill-opacity:0;stroke-opacity:1}"
    return f"{bars}{pills}{tint}"
