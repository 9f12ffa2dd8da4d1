"""The command `dragspace`: finds the subcommand, imports only that one, and reports errors in one line."""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType
from typing import Any, NoReturn

import click

from dragspace_jax.cli.cache import configure_compilation_cache
from dragspace_jax.cli.console import library_messages
from dragspace_jax.cli.errors import user_errors

# Listed here and not asked of the commands, whose modules import JAX: `dragspace --help` stays fast.
_COMMANDS = {
    "align": "Map the latent space of one model to another's, and carry edits across.",
    "batch": "Drag many edits from a file, side by side.",
    "bench": "Time drags of a model, against the published loop.",
    "channels": "Find the style channels that act on one region of the image.",
    "convert": "Turn a published checkpoint into a model folder.",
    "demo": "Drag points on images of the embedded models and write a page of pictures.",
    "drag": "Drag handle points to target points on one image.",
    "edit": "Move an image along directions, or by style channels.",
    "fit-pca": "Fit a basis to drag in: principal components of W.",
    "generate": "Write images of seeds or latents, and a contact sheet.",
    "inspect": "Show what a model folder or a published checkpoint holds.",
    "lowrank": "Find directions that change a region of images and leave the rest alone.",
    "transfer": "Carry latents and finished drags to another model, by a map of `align`.",
}


_AHEAD = {"drag": "dragspace_jax.metrics.preservation"}
"""Commands that load the programs of their last time while they begin, and then what they import last."""
_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def orderly_termination() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a closed terminal, end the program as an exception does, with code 128 + number.

    So half-written files are cleared away. Where a signal is already ignored (nohup) or handled, or outside the main
    thread, nothing changes.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    taken = [each for each in _ENDING if in_main_thread and signal.getsignal(each) is signal.SIG_DFL]
    for each in taken:
        signal.signal(each, _terminate)
    try:
        yield
    finally:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def imports_stay() -> Iterator[None]:
    """Import without looking for garbage, then and later, among what is imported: that is a tenth of a start's time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


class LazyGroup(click.Group):
    """A group whose commands live in modules of their own names, _ for -, and are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = f"dragspace_jax.cli.{name}"
        with nullcontext() if module in sys.modules else imports_stay():
            return getattr(importlib.import_module(module), name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _AHEAD and not {"-h", "--help"} & set(args):
            with imports_stay():
                ahead = importlib.import_module("dragspace_jax.loading_ahead")
            ctx.with_resource(ahead.loading_ahead(args[0], lambda: importlib.import_module(_AHEAD[args[0]])))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in self.list_commands(ctx)])

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        # Without arguments click raises the help as a usage error; that one is wanted as it is.
        with user_errors() if args else nullcontext():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        with orderly_termination(), user_errors(), library_messages():
            return super().invoke(ctx)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        names = ("dragspace-jax", "jax", "flax")
        click.echo(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
        ctx.exit()


def _cache(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not ctx.resilient_parsing:
        configure_compilation_cache(value)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show versions.")
@click.option(
    "--compilation-cache/--no-compilation-cache",
    default=True,
    show_default=True,
    envvar="DRAGSPACE_COMPILATION_CACHE",
    show_envvar=True,
    expose_value=False,
    callback=_cache,  # before a command is imported
    help="Keep compiled programs in the user's cache folder, so that the next start is fast.",
)
def main() -> None:
    """Drag editing of StyleGAN2 images, compiled."""
