"""The README's commands and options are there, and its examples run as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import jax
import numpy as np
import pytest
from click.testing import Result

import dragspace_jax as ds
from dragspace_jax.cli.main import main
from dragspace_jax.drag.metric import model_metric
from dragspace_jax.inputs import seed_latents
from dragspace_jax.spaces import PCA

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "docs" / "examples"
FENCED = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
_UNFENCED = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
_INLINE = re.findall(r"`([^`]+)`", _UNFENCED)


def command_lines() -> list[str]:
    """Everything that begins with `dragspace` and is set as code, in blocks and in text."""
    lines = [line for _, block in FENCED for line in block.splitlines()]
    found = [" ".join(line.split()) for line in (*lines, *_INLINE)]
    return sorted({line for line in found if line.startswith("dragspace ")})


def words(line: str) -> list[str]:
    """A command line's arguments, without `dragspace` and comments."""
    return [word for word in shlex.split(line, comments=True)[1:] if word != "…"]


def commands() -> Iterator[click.Command]:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        yield command


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_understood(line: str) -> None:
    """Options and choices are known and arguments are not too many; those left out, the text leaves out."""
    context, arguments = click.Context(main), words(line)
    _, arguments, _ = main.make_parser(context).parse_args(arguments)
    if not arguments:
        return
    command = main.get_command(context, arguments[0])
    assert command is not None, f"no command {arguments[0]}"
    context = click.Context(command)
    values, rest, _ = command.make_parser(context).parse_args(arguments[1:])
    assert not rest
    for parameter in command.params:
        value = values.get(parameter.name)
        if value is not None and not isinstance(parameter.type, click.Path):
            parameter.type_cast_value(context, value)


def test_options_in_the_text_are_options() -> None:
    known = {name for command in (main, *commands()) for p in command.params for name in (*p.opts, *p.secondary_opts)}
    ours = [code for code in _INLINE if not code.startswith("python -m ")]  # a benchmark has options of its own
    named = {word for code in ours for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)}
    assert named - known - {"--help"} == set()


def test_every_command_is_in_the_table() -> None:
    table = {line.split()[1] for line in command_lines()}
    assert {command.name for command in commands()} <= table


@pytest.fixture(autouse=True)
def _compilation_cache_as_before() -> Iterator[None]:
    """The examples turn it on; other tests have their own folder."""
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", "jax_enable_compilation_cache")
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where a reader stands: the top of a clone, with what the examples name; JAX is as a reader has it."""
    shutil.copytree(EXAMPLES, tmp_path / "docs" / "examples")
    monkeypatch.chdir(tmp_path)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield tmp_path


@pytest.fixture(scope="module")
def measured() -> None:
    """The metric of the examples' model, kept before they ask for it: with all optimisations it takes half the time."""
    model = ds.load("critters-dog")
    space = ds.recipe("least-change", model).space
    assert isinstance(space, PCA)
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        model_metric(model, space)
    finally:
        jax.config.update("jax_disable_most_optimizations", True)


def test_the_edits_shown_are_those_of_the_repository() -> None:
    shown = [block for _, block in FENCED if '"handles"' in block and block.lstrip().startswith("{")]
    assert shown == [(EXAMPLES / "edits.jsonl").read_text()]


@pytest.mark.usefixtures("measured")
def test_the_batch_example(clone: Path, dragspace: Callable[..., Result]) -> None:
    (line,) = (line for line in command_lines() if line.startswith("dragspace batch docs/examples/edits.jsonl"))
    arguments = words(line)
    result = dragspace(*arguments)
    assert result.exit_code == 0, result.output
    out = clone / arguments[arguments.index("--out") + 1]
    records = [json.loads(each) for each in (out / "results.jsonl").read_text().splitlines()]
    assert {record["line"]: record["outcome"] for record in records} == {1: "reached", 2: "reached", 3: "reached"}
    assert {path.stem for path in (out / "images").iterdir()} == {"ear", "line-000002", "line-000003"}


def test_the_start_is_what_the_text_says() -> None:
    """Latents of seed 4, not truncated."""
    model = ds.load("critters-dog")
    expected = seed_latents(model, [4], psi=1.0)[0]
    with np.load(EXAMPLES / "start.npz", allow_pickle=False) as stored:
        np.testing.assert_allclose(stored["ws"], expected, atol=1e-4)


@pytest.mark.usefixtures("measured")
def test_the_python_examples(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks in their order, as one program; a hundred edits are cut to two."""
    blocks = [block for language, block in FENCED if language == "python"]
    program = "\n".join(blocks)
    assert "range(100)" in program
    exec(compile(program.replace("range(100)", "range(2)"), "README.md", "exec"), {"__name__": "readme"})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 4
