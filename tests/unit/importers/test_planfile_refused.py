"""Plan files that are wrong: each complaint says what, on which line, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from raykqi.errors import InvalidInput, NotFound, RaykqiError
from raykqi.importers.planfile import read_plan

INPUT = "inputs: [{path: /in/a, tags: ['a:1']}]\n"
RUN = "command: [x]\n"
LONG = "x" * 64

WRONG = {
    # what is run
    "nothing to run": (INPUT, "the plan says nothing to run", "Add `image`, `command` or `function`."),
    "image without tag": (f"image: a/b\n{INPUT}", ":1: image: the image 'a/b' has no tag and no digest", "a/b:v1"),
    "image of a port only": (f"image: localhost:30503/x\n{INPUT}", "has no tag and no digest", "localhost:30503/x:v1"),
    "image without name": (f"image: ':v1'\n{INPUT}", "':v1' is no name of an image", "lower case"),
    "image in capitals": (f"image: a/B:v1\n{INPUT}", "'a/B:v1' is no name of an image", "lower case"),
    "image as URL": (f"image: https://a/b:v1\n{INPUT}", "is a URL", "up to `//`"),
    "image and function": (
        f"image: a:v1\nfunction: a:b\n{INPUT}",
        ":2: function: a function is run without",
        "Keep one",
    ),
    "command and entrypoint": (f"image: a:v1\n{RUN}entrypoint: [y]\n{INPUT}", ":3: entrypoint: `command` replaces", ""),
    "args without image": (f"{RUN}args: [y]\n{INPUT}", ":2: args: `command` replaces args", ""),
    "args alone": (f"args: [y]\n{INPUT}", ":1: args: args belongs to an image", "Add `image`"),
    "args of mappings": (f"image: a:v1\nargs: [{{a: b}}]\n{INPUT}", ":2: args[0]: {'a': 'b'} is no text", '"a:b"'),
    "empty command": (f"command: ' '\n{INPUT}", ":1: command: the command is empty", "python train.py"),
    "function without module": (f"function: train\n{INPUT}", "'train' is no function", "module:function"),
    "launcher misspelt": (f"{RUN}launcher: sandbx\n{INPUT}", ":2: launcher: there is no 'sandbx'", "'sandbox'"),
    "container without image": (f"{RUN}launcher: container\n{INPUT}", "a container needs an image", "Add `image`"),
    "process without command": (f"image: a:v1\nlauncher: process\n{INPUT}", "nobody knows what 'a:v1' would run", ""),
    "function in a sandbox": (f"function: a:b\nlauncher: sandbox\n{INPUT}", "not by sandbox", "Remove `launcher`."),
    # inputs and outputs
    "no inputs": (RUN, "inputs: the plan has no inputs", "at least one"),
    "empty inputs": (f"{RUN}inputs: []\n", ":2: inputs: the plan has no inputs", "at least one"),
    "inputs as mapping": (f"{RUN}inputs: {{a: b}}\n", ":2: inputs: {'a': 'b'} is no list", "- {path:"),
    "input of text": (f"{RUN}inputs: [a]\n", ":2: inputs[0]: 'a' is no mapping", "key: value"),
    "no tags": (f"{RUN}inputs:\n  - path: /in/a\n", ":3: inputs[0].tags: the input has no tags", "type:dataset"),
    "tags as text": (
        f"{RUN}inputs: [{{path: /a, tags: 'a:1'}}]\n",
        "inputs[0].tags: 'a:1' is no list",
        '["type:dataset"]',
    ),
    "tag that YAML takes for a mapping": (
        f"{RUN}inputs:\n  - path: /in/a\n    tags:\n      - type: dataset\n",
        ":5: inputs[0].tags[0]: {'type': 'dataset'} is no tag",
        'Write "type:dataset" in quotes.',
    ),
    "tag without colon": (
        f"{RUN}inputs: [{{path: /a, tags: [2026-01-01]}}]\n",
        "tag '2026-01-01' has no ':'",
        "key:value",
    ),
    "input wants transient": (
        f"{RUN}inputs: [{{path: /a, tags: ['knit#transient:failed']}}]\n",
        "an input cannot ask for 'raykqi#transient'",
        "raykqi#id",
    ),
    "input wants unknown system tag": (f"{RUN}inputs: [{{path: /a, tags: ['knit#x:1']}}]\n", "no system tag", ""),
    "input wants what is no id": (f"{RUN}inputs: [{{path: /a, tags: ['knit#id:0190']}}]\n", "is no whole id", "36"),
    "input wants two times": (
        f"{RUN}inputs: [{{path: /a, tags: ['knit#timestamp:2026-01-01T00:00:00Z', 'raykqi#timestamp:2027-01-01']}}]\n",
        "inputs[0].tags[1]: no data has two different raykqi#timestamp",
        "",
    ),
    "output sets a system tag": (
        f"{RUN}{INPUT}outputs: [{{path: /out, tags: ['knit#id:1']}}]\n",
        ":3: outputs[0].tags[0]: tag 'knit#id:1' begins with 'raykqi#'",
        "knit#",
    ),
    "log sets a system tag": (f"{RUN}{INPUT}log: {{tags: ['raykqi#x:1']}}\n", ":3: log.tags[0]: tag", ""),
    "relative path": (f"{RUN}inputs: [{{path: in/a, tags: ['a:1']}}]\n", "path 'in/a' is not absolute", "'/in/a'"),
    "path of dots": (f"{RUN}inputs: [{{path: /in/../a, tags: ['a:1']}}]\n", "holds '..'", "where it leads"),
    "unclean path": (f"{RUN}inputs: [{{path: /in//./a, tags: ['a:1']}}]\n", "has empty parts or '.'", "'/in/a'"),
    "root": (f"{RUN}inputs: [{{path: /, tags: ['a:1']}}]\n", "the path '/' would hide the whole system", "/in/dataset"),
    "kernel": (f"{RUN}inputs: [{{path: /proc/x, tags: ['a:1']}}]\n", "belongs to the kernel", ""),
    "nested paths": (
        f"{RUN}inputs: [{{path: /in, tags: ['a:1']}}]\noutputs:\n  - path: /in/out\n",
        ":4: outputs[0].path: the path '/in/out' lies inside '/in'",
        ":2: inputs[0].path",
    ),
    "same path": (
        f"{RUN}{INPUT}outputs: [{{path: /in/a/}}]\n",
        ":3: outputs[0].path: the path '/in/a' is used twice",
        "",
    ),
    "names that differ by case": (
        f"{RUN}inputs: [{{name: a, tags: ['a:1']}}, {{name: A, tags: ['a:1']}}]\n",
        "inputs[1].name: the name 'A' differs from 'a' only by case",
        "",
    ),
    "name for no code": (
        f"{RUN}inputs: [{{name: a-b, tags: ['a:1']}}]\n",
        "'a-b' cannot be used in {inputs.…}",
        "letters",
    ),
    "name in another form": (
        f"{RUN}inputs: [{{name: ｘ, tags: ['a:1']}}]\n",
        "has another form in code",
        "Write it as 'x'.",
    ),
    "neither name nor path": (f"{RUN}inputs: [{{tags: ['a:1']}}]\n", "inputs[0]: it has neither path nor name", "path"),
    "take misspelt": (
        f"{RUN}inputs: [{{path: /a, tags: ['a:1'], take: al}}]\n",
        "inputs[0].take: there is no 'al'",
        "'all'",
    ),
    "unknown key of an input": (
        f"{RUN}inputs:\n  - path: /in/a\n    tag: ['a:1']\n",
        ":4: inputs[0].tag: there is no key 'tag' in an input",
        "Did you mean 'tags'?",
    ),
    "path for a function": (f"function: a:b\n{INPUT}", "inputs[0].path: a function is told its paths", "Remove `path`"),
    "one name for two parameters": (
        "function: a:b\ninputs: [{name: x, tags: ['a:1']}]\nparams: {x: 1}\n",
        "params: 'x' is among the inputs too",
        "",
    ),
    # placeholders
    "unknown placeholder": (
        "command:\n  - run\n  - '{inputs.datset}'\ninputs: [{name: dataset, tags: ['a:1']}]\n",
        ":3: command[1]: {inputs.datset}: the plan has no such name",
        "Did you mean 'dataset'?",
    ),
    "placeholder in the singular": (f"command: '{{input.a}}'\n{INPUT}", "{input.a} means nothing", "{inputs.a}"),
    "placeholder in env": (f"{RUN}{INPUT}env: {{X: '{{params.lr}}'}}\n", ":3: env.X: {params.lr}", "There is none."),
    "placeholder without quotes": (f"command: [run, {{inputs.a}}]\n{INPUT}", "is no text", ""),
    # params
    "param of the wrong type": (
        f"{RUN}{INPUT}params:\n  lr: {{type: float, default: fast}}\n",
        ":4: params.lr.default: 'fast' is no float",
        "0.1",
    ),
    "param in quotes": (
        f"{RUN}{INPUT}params: {{n: {{type: int, default: '10'}}}}\n",
        "'10' is no int",
        "without quotes",
    ),
    "octal": (f"{RUN}{INPUT}params: {{n: {{type: int, default: 010}}}}\n", "'010' is no int", "write 10"),
    "not a choice": (
        f"{RUN}{INPUT}params: {{n: {{default: 3, choices: [1, 2]}}}}\n",
        "params.n.default: 3 is not among the choices",
        "It may be 1, 2.",
    ),
    "choices of the wrong type": (
        f"{RUN}{INPUT}params: {{n: {{default: 3, choices: [a]}}}}\n",
        "choices[0]: 'a' is no int",
        "",
    ),
    "no type of a param": (f"{RUN}{INPUT}params: {{n: {{type: flaot}}}}\n", "'flaot' is no type", "'float'"),
    "infinite": (f"{RUN}{INPUT}params: {{n: {{type: float, default: .inf}}}}\n", "'.inf' is no float", ""),
    "huge": (f"{RUN}{INPUT}params: {{n: 99999999999999999999}}\n", "does not fit in 64 bits", "str"),
    "required with default": (f"{RUN}{INPUT}params: {{n: {{default: 1, required: true}}}}\n", "has no default", ""),
    "param of a list": (f"{RUN}{INPUT}params: {{n: [1]}}\n", "['1'] is no value of a param", "str, int, float or bool"),
    # environment
    "env of Ray": (f"{RUN}{INPUT}env: {{RAY_ADDRESS: x}}\n", ":3: env.RAY_ADDRESS: variables RAY_… are set by", ""),
    "env of ours": (f"{RUN}{INPUT}env: {{raykqi_x: x}}\n", "are set by the system alone", "Rename it."),
    "env without name": (f"{RUN}{INPUT}env: {{1X: x}}\n", "'1X' is no name of an environment variable", "letters"),
    "env of GPUs": (f"{RUN}{INPUT}env: {{CUDA_VISIBLE_DEVICES: 0}}\n", "follows from the GPUs", "`gpu`"),
    "pip and uv": (f"{RUN}{INPUT}runtime_env: {{pip: [a], uv: [b]}}\n", "pip and uv cannot both", "Keep one"),
    "conda": (f"{RUN}{INPUT}runtime_env: {{conda: x}}\n", "runtime_env takes no 'conda'", "pip or uv"),
    "pip in a container": (
        f"image: a:v1\n{INPUT}runtime_env: {{pip: [a]}}\n",
        "pip cannot install anything",
        "image is built",
    ),
    "pip file missing": (
        f"{RUN}{INPUT}runtime_env: {{pip: nope.txt}}\n",
        "cannot be read: No such file",
        "beside the plan",
    ),
    "env_vars differ": (
        f"{RUN}{INPUT}env: {{A: 1}}\nruntime_env: {{env_vars: {{A: 2}}}}\n",
        "gives it another value",
        "",
    ),
    # scheduling
    "negative retries": (f"{RUN}{INPUT}retries: -1\n", ":3: retries: -1 is not between 0 and 1000", ""),
    "retries of words": (f"{RUN}{INPUT}retries: two\n", "'two' is no int", "as in 10"),
    "duration of words": (f"{RUN}{INPUT}timeout: 5 parsecs\n", ":3: timeout: '5 parsecs' is no duration", "1h30m"),
    "priority beyond all": (
        f"{RUN}{INPUT}priority: 99999999999999999999\n",
        ":3: priority: 99999999999999999999 is not between",
        "within these",
    ),
    "negative duration": (f"{RUN}{INPUT}timeout: -5\n", ":3: timeout: '-5' is not between 0 and 10 years", ""),
    "priority of a fraction": (f"{RUN}{INPUT}priority: 1.5\n", "'1.5' is no int", ""),
    "no pending": (f"{RUN}{INPUT}limits: {{pending: 0}}\n", "limits.pending: 0 is not between 1", ""),
    "unknown limit": (f"{RUN}{INPUT}limits: {{runing: 1}}\n", "no key 'runing' in limits", "'running'"),
    "reuse of words": (f"{RUN}{INPUT}reuse: maybe\n", "'maybe' is neither true nor false", "without quotes"),
    "active in quotes": (f"{RUN}{INPUT}active: 'yes'\n", "'yes' is neither true nor false", "without quotes"),
    "join of a tag": (f"{RUN}{INPUT}join: ['patient:1']\n", "join[0]: 'patient:1' is a tag, not a key", ""),
    "join of the system": (f"{RUN}{INPUT}join: ['knit#id']\n", "join[0]: tag 'knit#id:'", ""),
    "label without value": (
        f"{RUN}{INPUT}on_node: {{must: [gpu]}}\n",
        "on_node.must[0]: 'gpu' has no '='",
        "key=value",
    ),
    "label too long": (f"{RUN}{INPUT}on_node: {{must: ['{LONG}=1']}}\n", "is no key of a label", "63"),
    "label with a bad value": (f"{RUN}{INPUT}on_node: {{may: ['a=-b']}}\n", "'-b' is no value of a label", "63"),
    "label with a bad domain": (f"{RUN}{INPUT}on_node: {{may: ['A_b/c=d']}}\n", "'A_b/c' is no key of a label", ""),
    "unknown level": (f"{RUN}{INPUT}on_node: {{should: []}}\n", "no key 'should' in on_node", ""),
    "annotation without value": (
        f"{RUN}{INPUT}annotations: [x]\n",
        "annotations[0]: 'x' is no annotation",
        "key=value",
    ),
    "annotation with a long key": (
        f"{RUN}{INPUT}annotations: ['{'k' * 254}=1']\n",
        "254 characters, more than 253",
        "",
    ),
    "annotation with a long value": (
        f"{RUN}{INPUT}annotations: ['k={'v' * (2**20 + 1)}']\n",
        "1048577 bytes, more than 1048576",
        "Push it",
    ),
    "long account": (f"{RUN}{INPUT}service_account: {LONG}\n", "64 characters, more than 63", ""),
    # resources
    "fraction of several GPUs": (
        f"{RUN}{INPUT}resources:\n  cpu: 1\n  nvidia.com/gpu: 1.5\n",
        ":5: resources.nvidia.com/gpu: gpu: 1.5 is more than one GPU and not a whole number",
        "0.25",
    ),
    "negative cpu": (f"{RUN}{INPUT}resources: {{cpu: -1}}\n", "cpu: '-1' is not a quantity", ""),
    "unit of cpu": (f"{RUN}{INPUT}resources: {{cpu: 1Gi}}\n", "has the unit 'Gi'", "500m"),
    "cpus": (f"{RUN}{INPUT}resources: {{cpus: 2}}\n", "there is no resource 'cpus'", "'cpu'"),
    "two names of GPUs": (f"{RUN}{INPUT}resources: {{gpu: 1, nvidia.com/gpu: 2}}\n", "both say how many GPUs", "`gpu`"),
    "accelerator without GPU": (f"{RUN}{INPUT}resources: {{accelerator: H100}}\n", "but no GPU", "gpu: 1"),
    # the file itself
    "unknown key": (f"{RUN}{INPUT}tmeout: 5\n", ":3: tmeout: there is no key 'tmeout' in a plan", "'timeout'"),
    "knitfab's guide: logs": (f"{RUN}{INPUT}logs: {{}}\n", ":3: logs: there is no key 'logs'", "Did you mean 'log'?"),
    "knitfab's guide: annoation": (f"{RUN}{INPUT}annoation: []\n", "no key 'annoation'", "'annotations'"),
    "knitfab's guide: resource": (f"{RUN}{INPUT}resource: {{}}\n", "no key 'resource'", "'resources'"),
    "both spellings": (f"{RUN}{INPUT}resouces: {{cpu: 1}}\nresources: {{cpu: 1}}\n", "which is there too", "Keep"),
    "system name": (f"name: 'raykqi#uploaded'\n{RUN}{INPUT}", "is a name of the system", ""),
    "variable without value": (
        f"image: 'localhost:${{PORT}}/x:v1'\n{INPUT}",
        ":1: image: the variable ${PORT} has no value",
        "--set PORT=…",
    ),
    "variable that is none": (f"name: 'a${{b-c}}'\n{RUN}{INPUT}", "the variable ${b-c} has no value", "$${…}"),
    "source is no folder": (f"{RUN}{INPUT}source: /nowhere\n", ":3: source: '/nowhere' is no folder", ""),
    "source of git without git+": (
        f"{RUN}{INPUT}source: https://a.b/c.git\n",
        "neither a folder nor git+…",
        "git+https",
    ),
    "source with a password": (
        f"{RUN}{INPUT}source: 'git+https://me:secret@a.b/c'\n",
        "kept with the plan for ever",
        "",
    ),
    "source that is an option": (f"{RUN}{INPUT}source: 'git+https://a.b/c@--upload-pack=x'\n", "is no git source", ""),
    "source that leaves": (f"{RUN}{INPUT}source: 'git+https://a.b/c#../x'\n", "leaves the repository", ""),
}


@pytest.mark.parametrize(("text", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_plan_is_refused(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_plan(text, name="plan.yaml")

    assert refused.value.message.startswith("plan.yaml")
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.hint


@pytest.mark.parametrize(
    ("function", "more", "message", "hint"),
    [
        ("stpes:train", "", "function: there is no module 'stpes' in", "Did you mean 'steps'?"),
        ("steps:trian", "", "has no function 'trian'", "Did you mean 'train'?"),
        ("broken:train", "", "is not Python: line 1", "Mend the file"),
        ("steps:train", "outputs: [{name: modle}]\n", "outputs[0]: the function has no parameter 'modle'", "'model'"),
        ("steps:train", "params: {rate: 1}\n", "params.rate: the function has no parameter 'rate'", ""),
        ("steps:train", "outputs: []\n", "function: its parameter 'model' is not given", "Add it"),
    ],
)
def test_a_function_must_be_in_its_source_and_take_what_it_is_given(
    tmp_path: Path, function: str, more: str, message: str, hint: str
) -> None:
    (tmp_path / "steps.py").write_text("def train(a, model, *, lr=1): ...\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("def (", encoding="utf-8")
    (tmp_path / "plan.yaml").write_text(
        f"function: {function}\nsource: .\ninputs: [{{name: a, tags: ['a:1']}}]\n{more}", encoding="utf-8"
    )

    with pytest.raises(InvalidInput) as refused:
        read_plan(tmp_path / "plan.yaml")

    assert message in refused.value.message
    assert hint in refused.value.hint


def test_requirements_are_read_from_files_alone() -> None:
    with pytest.raises(InvalidInput, match="'/dev/zero' is no file"):
        read_plan(f"{RUN}{INPUT}runtime_env: {{pip: /dev/zero}}\n")


def test_no_message_repeats_a_password() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_plan(WRONG["source with a password"][0])

    assert "secret" not in str(refused.value)


def test_a_variable_that_the_file_lacks_is_a_mistake() -> None:
    with pytest.raises(InvalidInput, match="PROT") as refused:
        read_plan(f"image: 'localhost:${{PORT}}/x:v1'\n{INPUT}", variables={"PROT": "1", "PORT": "2"})

    assert refused.value.hint == "Did you mean 'PORT'?"


def test_siblings_whose_names_begin_alike_do_not_overlap() -> None:
    text = "inputs: [{path: /in/1, tags: ['a:1']}, {path: /in/10, tags: ['a:1']}, {path: /in/data, tags: ['a:1']}]\n"

    definition = read_plan(f"{RUN}{text}outputs: [{{path: /in/dataset}}]\n").definition

    assert [wanted.name for wanted in definition.inputs] == ["in_1", "in_10", "data"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "there is nothing in it"),
        (b"# only words\n", "there is nothing in it"),
        (b"- a\n- b\n", "this is a list"),
        (b"just words\n", "this is the text 'just words'"),
        (b"name: \xe5\xad\n", "plan.yaml:1: byte 0xe5 is not UTF-8"),
        ("name: あ".encode("utf-16"), "byte 0xff is not UTF-8: it is UTF-16"),
        (b"\x1f\x8b\x08\x00", "is not UTF-8: it is gzip"),
        (b"name: a\0b\n", "plan.yaml"),
        (b"x" * (4 * 2**20 + 1), "are too many for a plan file"),
    ],
)
def test_a_file_that_cannot_be_a_plan_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_bytes(content)

    with pytest.raises(InvalidInput) as refused:
        read_plan(file)

    assert message in refused.value.message
    assert str(file) in refused.value.message


def test_a_file_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        read_plan(tmp_path / "nope.yaml")
    with pytest.raises(RaykqiError, match="is a folder"):
        read_plan(tmp_path)
