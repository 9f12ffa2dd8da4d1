"""Every option of how to drag: made of what the settings say of themselves, and one clear line for every bad value."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

from dragspace_jax.batch.lines import LineError, parse_line
from dragspace_jax.cli.batch import batch
from dragspace_jax.cli.drag import drag
from dragspace_jax.drag.recipes import CHOICE_KEYS, SETTING_KEYS
from dragspace_jax.drag.settings import SETTINGS
from dragspace_jax.spaces.option_fields import SPACE_OPTIONS

Run = Callable[..., Result]
DRAG = ("drag", "--model", "m", "--seed", 3, "--handles", "1,1", "--targets", "2,2")


def _bad_settings() -> Iterator[tuple[str, object]]:
    """Values out of every setting's range, of another type, and such that no number is."""
    for key, field in SETTING_KEYS.items():
        setting = SETTINGS[field]
        yield key, "no"
        if setting.choices:
            continue
        yield from ((key, value) for value in (float("nan"), float("inf"), -float("inf"), -1, 1e300))
        if setting.whole:
            yield from ((key, value) for value in (1.5, 10**12, "1e3"))
        for bound in (setting.above, setting.below):
            if bound is not None:
                yield key, bound


def _bad_space() -> Iterator[tuple[str, object]]:
    for key, option in SPACE_OPTIONS.items():
        if option.kind == "whole":
            yield from ((key, value) for value in (-1, 1.5, "no", 10**12))
        elif option.kind == "number":
            yield from ((key, value) for value in (float("nan"), float("inf"), "no"))
        elif option.kind == "choice":
            yield from ((key, value) for value in ("no", "displacement", "W"))


BAD = [*_bad_settings(), *_bad_space(), ("recipe", "fast"), ("solver", "adam"), ("half_life", 3), ("slow_down", 3)]


@pytest.mark.parametrize(("key", "value"), BAD)
def test_a_bad_value_is_one_line(
    dragspace: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: object
) -> None:
    """As an option, before anything is read or written, and in a line."""
    monkeypatch.chdir(tmp_path)
    flag = f"--{key.replace('_', '-')}"
    ended = dragspace(*DRAG, flag, value, "--out", "out")
    assert ended.exit_code == 2
    assert ended.output.startswith("Error: ")
    assert ended.output.count("\n") == 1
    assert flag in ended.output
    assert not list(tmp_path.iterdir())
    line = {"seed": 3, "handles": [[1, 1]], "targets": [[2, 2]], key: value}
    with pytest.raises(LineError) as caught:
        parse_line(json.dumps(line).encode(), 32)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert key in message or "is not a number of JSON" in message


@pytest.mark.parametrize("command", [drag, batch])
def test_the_options_are_the_settings(command: click.Command) -> None:
    named = {parameter.name: parameter for parameter in command.params}
    assert set(CHOICE_KEYS) <= set(named)
    for key, field in SETTING_KEYS.items():
        option = named[key]
        assert isinstance(option, click.Option)
        assert option.help is not None
        assert option.help.startswith(SETTINGS[field].help)
        assert "[default: " in option.help
        assert option.default is None
