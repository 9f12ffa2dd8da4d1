"""`--device`: where a command computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dragspace_jax.placement import one_device, running_on

_HELP = "cpu, gpu or tpu, as gpu:0 one of them{several} [default: what JAX prefers]."


def with_device(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let all that the command computes run on the device that is named."""
    return _option(_run_on_one, expose=False, help=_HELP.format(several=""))(command)


def with_devices(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, as `device`, the devices that are named, a text or None; it has to see to them itself."""
    return _option(None, expose=True, help=_HELP.format(several=", as gpu:0,1 several"))(command)


def _option(callback: Callable[..., Any] | None, *, expose: bool, help: str) -> Callable[..., Any]:
    return click.option("--device", metavar="cpu|gpu|tpu[:INDEX,…]", callback=callback, expose_value=expose, help=help)


def _run_on_one(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if not ctx.resilient_parsing:
        ctx.with_resource(running_on(one_device(value)))
