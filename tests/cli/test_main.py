"""The command group: what it imports, how it fails, where compiled programs go."""

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


def test_termination_is_an_exit_like_any_other():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"), orderly_termination():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


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
