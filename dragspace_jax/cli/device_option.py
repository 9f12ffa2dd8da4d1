"""`--device`: where a command computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dragspace_jax.placement import devices, one_device, running_on

_HELP = "cpu, gpu or tpu, as gpu:0 one of them{several} [default: what JAX prefers]."


def with_device(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let all that the command computes run on the device that is named."""
    return _option(_run_on_one, expose=False, help=_HELP.format(several=""))(command)


def with_devices(command: Callable[..., Any]) -> Callable[..., Any]:
    """Likewise, on the first of those that are named; the command gets them as `device`, a text or None."""
    return _option(_run_on_first, expose=True, help=_HELP.format(several=", as gpu:0,1 several"))(command)


def _option(callback: Callable[..., Any], *, expose: bool, help: str) -> Callable[..., Any]:
    return click.option("--device", metavar="cpu|gpu|tpu[:INDEX,…]", callback=callback, expose_value=expose, help=help)


def _run_on_one(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if not ctx.resilient_parsing:
        ctx.with_resource(running_on(one_device(value)))


def _run_on_first(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not ctx.resilient_parsing:
        ctx.with_resource(running_on(devices(value).devices[0]))
    return value
