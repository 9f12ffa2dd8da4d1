"""The command group: what it imports, how it fails, where compiled programs go."""

import errno
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dragspace_jax.cli.errors import user_errors
from dragspace_jax.cli.main import main, orderly_termination
from dragspace_jax.errors import DragspaceError


def _python(code: str, **environment: str) -> str:
    values = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMPILATION")} | environment
    return subprocess.run(
        [sys.executable, "-c", code], env=values, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_help_names_every_command(dragspace):
    result = dragspace("--help")
    assert result.exit_code == 0
    for name in ("convert", "demo", "drag", "generate", "inspect"):
        assert f"\n  {name} " in result.output


def test_every_listed_command_exists():
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        assert command.name == name


def test_help_does_not_import_jax():
    code = "import sys; from dragspace_jax.cli.main import main; main(['--help'], standalone_mode=False); "
    assert _python(code + "print('jax' in sys.modules)").endswith("False")


def test_version(dragspace):
    assert dragspace("--version").output.startswith("dragspace-jax ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["--nothing"], "No such option"),
        (["generate", "--nothing"], "No such option"),
        (["generate"], "Missing option '--model'"),
        (["generate", "--model", "m", "--out", __file__], "is a file"),
        (["generate", "--model", "m", "--out", "o", "--noise", "loud"], "'loud' is not one of"),
        (["drag", "--model", "m", "--seed", "-1"], "--seed"),
    ],
)
def test_wrong_commands_and_options_are_one_line(dragspace, arguments, message):
    result = dragspace(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert result.output.count("\n") == 1


def test_without_arguments_comes_the_help(dragspace):
    assert dragspace().output.startswith("Usage: ")


def test_errors_of_the_package_are_one_line(tmp_path):
    with pytest.raises(click.ClickException, match="first second") as caught, user_errors():
        raise DragspaceError("first\nsecond")
    assert caught.value.exit_code == 2
    with pytest.raises(click.ClickException, match="absent"), user_errors():
        (tmp_path / "absent").read_text()


def test_faults_of_the_program_keep_their_traceback():
    with pytest.raises(ValueError, match="a bug"), user_errors():
        raise ValueError("a bug")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", "143"), ("SIGHUP", "129")])
def test_termination_is_an_exit_like_any_other(name, code):
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(SystemExit, match=code), orderly_termination():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup has it
    try:
        with orderly_termination():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        ValueError("RESOURCE_EXHAUSTED: Error writing: [tensorstore: OS error 28: No space left on device]"),
    ],
)
def test_a_full_disk_is_one_line_whoever_says_it(dragspace, tmp_path, monkeypatch, error):
    def fails(*_, **__):
        raise RuntimeError("while saving") from error

    monkeypatch.setattr(importlib.import_module("dragspace_jax.cli.convert"), "convert_file", fails)
    ended = dragspace("convert", "some.pkl", tmp_path / "model")
    assert ended.exit_code == 1
    assert ended.output.startswith(f"Error: {tmp_path / 'model'}: ")
    assert ended.output.endswith("make room, then run the command again\n")
    assert ended.output.count("\n") == 1


def test_fields_of_the_library_become_options():
    error = DragspaceError("radius is 3; `stall` and `lr` are near stall", field="stall learning_rate lr unknown")
    with pytest.raises(click.ClickException) as caught, user_errors():
        raise error
    assert caught.value.message == "--lr: radius is 3; --stall and --lr are near stall"
    with pytest.raises(click.ClickException) as caught, user_errors():
        raise DragspaceError("feature_block is 3, not feature_blocks", field="feature_block")
    assert caught.value.message == "--feature-block is 3, not feature_blocks"


_COMPILE = """
from dragspace_jax.cli.cache import configure_compilation_cache
configure_compilation_cache({enabled})
import jax
jax.jit(lambda x: x * 2 + 1)(jax.numpy.ones(3))
print(jax.config.jax_compilation_cache_dir)
"""


def test_compiled_programs_are_kept_in_the_users_cache(tmp_path):
    folder = Path(_python(_COMPILE.format(enabled=True), XDG_CACHE_HOME=str(tmp_path)))
    assert folder.is_relative_to(tmp_path)
    assert list(folder.iterdir())


def test_the_cache_can_be_turned_off(tmp_path):
    _python(_COMPILE.format(enabled=False), XDG_CACHE_HOME=str(tmp_path))
    assert not list(tmp_path.rglob("*"))


def test_the_users_own_cache_folder_holds(tmp_path):
    own = tmp_path / "own"
    settings = {"JAX_COMPILATION_CACHE_DIR": str(own), "XDG_CACHE_HOME": str(tmp_path / "user")}
    assert _python(_COMPILE.format(enabled=True), **settings) == str(own)
    assert not (tmp_path / "user").exists()


def test_a_cache_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    code = "import sys; sys.stderr = sys.stdout" + _COMPILE.format(enabled=True)
    told, folder = _python(code, XDG_CACHE_HOME=str(tmp_path / "file")).splitlines()
    assert told.startswith("compiled programs are not kept")
    assert folder == "None"
