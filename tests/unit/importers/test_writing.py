"""Plans written as plan files read back as the same plans; whatever is read raises our errors alone."""

from __future__ import annotations

import json
import string
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raykqi.domain.plan import Code, Definition, Limits, NodeRules, Param, PlanInput, PlanOutput, PlanSettings
from raykqi.domain.resources import Resources
from raykqi.domain.tags import Tag
from raykqi.errors import InvalidInput, RaykqiError
from raykqi.importers.building import KEYS
from raykqi.importers.checking import checked
from raykqi.importers.draft import Draft
from raykqi.importers.planfile import read_plan
from raykqi.importers.work import SHELL
from raykqi.importers.writing import render_plan
from tests.examples import examples

# Braces would be placeholders, and what those may be is another test.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0{}"), max_size=12) | st.sampled_from(
    [
        "no",
        "010",
        "~",
        "a: b",
        "# x",
        " lead",
        "trail ",
        "\ttab",
        "a\nb",
        "\x85",
        "\u2028",
        "\ufeff",
        "'",
        '"',
        "\\",
        "日本",
    ]
)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="{}"), min_size=1)
WORDS = LINES.map(str.strip).filter(lambda text: bool(text) and len(text.splitlines()) == 1)
NAMES = st.text("abcdefgh", min_size=1, max_size=6)
TAGS = st.builds(
    Tag,
    WORDS.filter(lambda text: ":" not in text and not text.startswith(("!", "raykqi#", "knit#"))),
    TEXTS.map(str.strip) | st.just("${HOME} $${x} ${"),
)
TAG_SETS = st.sets(TAGS, min_size=1, max_size=3).map(lambda tags: tuple(sorted(tags)))
LABELS = st.lists(st.sampled_from(["a=b", "example.com/zone=t", "x="]), unique=True).map(
    lambda texts: tuple(sorted(texts))
)
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)
SECONDS = st.floats(0, 1e6)


@st.composite
def params(draw: st.DrawFn) -> tuple[Param, ...]:
    found = []
    for name in draw(st.lists(NAMES, unique=True, max_size=3)):
        type_, values = draw(
            st.sampled_from([("str", TEXTS), ("int", WHOLE), ("float", FLOATS), ("bool", st.booleans())])
        )
        choices = tuple(draw(st.lists(values, max_size=3)))
        value = draw(st.sampled_from(choices)) if choices else draw(st.none() | values)
        found.append(Param(name, type_, value, choices))  # type: ignore[arg-type]
    return tuple(found)


@st.composite
def works(draw: st.DrawFn) -> dict[str, object]:
    words = st.lists(TEXTS, min_size=1, max_size=4).map(tuple).filter(lambda them: bool(them[0].strip()))
    shell = TEXTS.filter(lambda text: bool(text.strip())).map(lambda text: (*SHELL, text))
    kind = draw(st.sampled_from(["image", "command", "function"]))
    if kind == "image":
        return {
            "image": "localhost:30503/x:v1",
            "launcher": "container",
            "entrypoint": draw(st.none() | st.lists(TEXTS).map(tuple)),
            "args": draw(st.none() | st.lists(TEXTS).map(tuple)),
        }
    if kind == "command":
        return {"command": draw(words | shell), "launcher": draw(st.sampled_from(["process", "sandbox"]))}
    return {"function": "steps.train:run"}


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    work = draw(works())
    is_function = "function" in work
    return Definition(
        inputs=tuple(
            PlanInput(
                f"in_{number}",
                "" if is_function else f"/in/{number}",
                draw(TAG_SETS),
                draw(st.sampled_from(["", "0190b2a0-0000-7000-8000-00000000000a"])),
                draw(st.none() | MOMENTS),
                draw(st.sampled_from(["each", "latest", "all"])),  # type: ignore[arg-type]
            )
            for number in range(draw(st.integers(1, 3)))
        ),
        outputs=tuple(
            PlanOutput(f"out_{number}", "" if is_function else f"/出力/{number}", draw(TAG_SETS | st.just(())))
            for number in range(draw(st.integers(0, 2)))
        ),
        log=draw(st.none() | TAG_SETS | st.just(())),
        name=draw(st.just("") | WORDS.filter(lambda text: not text.startswith("raykqi#"))),
        params=draw(params()),
        env=draw(st.dictionaries(st.sampled_from(["A", "_b", "C1"]), TEXTS)),
        runtime_env={} if "image" in work else draw(st.sampled_from([{}, {"pip": ["numpy==2", "a"]}, {"uv": ["b"]}])),
        retries=draw(st.integers(0, 1000)),
        backoff=draw(SECONDS),
        timeout=draw(SECONDS),
        grace=draw(SECONDS),
        priority=draw(st.integers(-1000, 1000)),
        join=tuple(sorted(draw(st.sets(st.sampled_from(["patient", "日付"]))))),
        reuse=draw(st.booleans()),
        on_node=NodeRules(draw(LABELS), draw(LABELS), draw(LABELS)),
        **work,  # type: ignore[arg-type]
    )


PLAN_SETTINGS = st.builds(
    PlanSettings,
    active=st.booleans(),
    resources=st.builds(
        Resources,
        cpu=st.integers(0, 10**9),
        memory=st.integers(0, 2**50),
        gpu=st.sampled_from([1, 250, 1000, 16000]),
        accelerator=st.sampled_from(["", "H100"]),
        custom=st.dictionaries(st.sampled_from(["example.com/fpga", "null"]), st.integers(1, 10**6)),
    ),
    limits=st.builds(Limits, st.integers(0, 100), st.integers(1, 100)),
    service_account=st.sampled_from(["", "trainer"]),
    annotations=st.sets(
        st.tuples(WORDS.filter(lambda text: "=" not in text and len(text) < 200), TEXTS.map(str.strip))
    ).map(lambda pairs: tuple(sorted(pairs))),
)


@given(definition=definitions(), plan_settings=PLAN_SETTINGS)
@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_plan_reads_back_as_it_was_written(definition: Definition, plan_settings: PlanSettings) -> None:
    draft = read_plan(render_plan(definition, plan_settings))

    assert draft.definition == definition
    assert draft.definition.digest == definition.digest
    assert draft.settings == plan_settings
    assert checked(Draft(definition, plan_settings)).definition == definition


def refusal(text: str) -> RaykqiError | None:
    try:
        read_plan(text)
    except RaykqiError as error:
        return error
    return None


PIECES = st.sampled_from(
    [
        "inputs:",
        "image: a:v1",
        "- ",
        "  ",
        "\n",
        "tags:",
        "path: /in",
        "{",
        "}",
        "[",
        "]",
        "&a",
        "*a",
        "<<:",
        ": ",
        "'",
        '"',
    ]
    + [
        "a:1",
        "\t",
        "---",
        "!!x",
        "|",
        ">",
        "#",
        "%",
        "params:",
        "default: 1e999",
        "0x1f",
        "~",
        "resources:",
        "cpu: ",
        "9" * 400,
    ]
    + [f"{key}: " for key in KEYS]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | PIECES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.lists(PIECES | st.text(max_size=6), max_size=40).map("".join))
@settings(max_examples=examples(80), deadline=None)
def test_no_text_raises_anything_but_our_errors(text: str) -> None:
    error = refusal(f"{text}\n")

    assert error is None or error.hint


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
@settings(max_examples=examples(60), deadline=None)
def test_no_values_raise_anything_but_our_errors(values: dict[str, object]) -> None:
    base = {"command": ["x"], "inputs": [{"path": "/in/a", "tags": ["a:1"]}]}

    error = refusal(json.dumps({**base, **values}) + "\n")

    assert error is None or error.hint


def test_a_plan_file_reads_well() -> None:
    draft = read_plan("""
image: localhost:30503/train:v1
inputs: [{path: /in/dataset, tags: [type:dataset], take: latest}]
outputs: [{path: /out/model, tags: [type:model]}]
log: {tags: [type:log]}
params: {epochs: 10}
timeout: 1h
resources: {gpu: 0.5}
active: false
""")

    assert (
        render_plan(draft.definition, draft.settings)
        == """\
image: "localhost:30503/train:v1"
inputs:
  - name: "dataset"
    path: "/in/dataset"
    tags: ["type:dataset"]
    take: "latest"
outputs:
  - name: "model"
    path: "/out/model"
    tags: ["type:model"]
log:
  tags: ["type:log"]
params:
  epochs:
    type: "int"
    default: 10
timeout: 3600
active: false
resources:
  cpu: "1"
  memory: "1Gi"
  gpu: "0.5"
"""
    )


@pytest.mark.parametrize(("end", "mark"), [("\n", "|"), ("", "|-")])
def test_a_command_of_lines_is_written_in_lines(end: str, mark: str) -> None:
    text = f"set -x\n\n  python train.py{end}"
    definition = Definition((PlanInput("a", "/in/a", (Tag("a", "1"),)),), command=(*SHELL, text))

    written = render_plan(definition)

    assert written.startswith(f"command: {mark}\n  set -x\n\n    python train.py\ninputs:")
    assert read_plan(written).definition == definition


def test_code_is_told_of_and_never_written() -> None:
    definition = Definition(
        (PlanInput("a", "/in/a", (Tag("a", "1"),)),), command=("x",), code=Code("b3:tree", "0190", "/home/me")
    )

    assert render_plan(definition).startswith('# Its code is kept as data 0190 from "/home/me".\ncommand: ["x"]\n')


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (Definition(()), "nothing to run"),
        (Definition((), command=("x",)), "no inputs"),
        (Definition((PlanInput("a", "in", (Tag("a", "1"),)),), command=("x",)), "not absolute"),
        (
            Definition(
                (PlanInput("a", "/a", (Tag("a", "1"),)),),
                (PlanOutput("b", "/b", (Tag("raykqi#id", "1"),)),),
                command=("x",),
            ),
            "only the system sets",
        ),
        (Definition((PlanInput("a", "/a", (Tag("a", "1"),)),), command=("x", "{inputs.b}")), "no such name"),
        (
            Definition((PlanInput("a", "/a", (Tag("a", "1"),)),), command=("x",), params=(Param("n", "int", "ten"),)),
            "'ten' is no int",
        ),
        (Definition((PlanInput("a", "/a", (Tag("a", "1"),)),), command=("x",), env={"RAY_X": "1"}), "system alone"),
    ],
)
def test_a_definition_made_by_hand_is_held_to_the_same_rules(definition: Definition, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        checked(Draft(definition, origin="by hand"))


def test_checking_cleans_paths_and_gives_names() -> None:
    code = Code("b3:tree")
    draft = Draft(
        Definition((PlanInput("", "/in/a/", (Tag("a", "1"),)),), command=("x",), code=code),
        source="/s",
        warnings=("w",),
    )

    assert checked(draft) == Draft(
        Definition((PlanInput("a", "/in/a", (Tag("a", "1"),)),), command=("x",), code=code),
        source="/s",
        warnings=("w",),
    )
