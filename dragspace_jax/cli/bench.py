"""`dragspace bench`: how fast the user's own model is dragged here, against the baseline."""

from __future__ import annotations

from pathlib import Path

import click

from dragspace_jax.benchmarks.drag_speed import WITHOUT_TORCH, make_plan, perform
from dragspace_jax.benchmarks.machine import cores, has_torch, share_accelerator
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.folders import make_folder


@click.command(
    epilog="\b\nExamples:\n"
    "  dragspace bench\n"
    "  dragspace bench --model models/ffhq --cases one,mask --engines whole,window\n"
    "  dragspace bench --model critters-cat --no-torch --no-memory --iterations 30"
)
@click.option(
    "--model", default="critters-dog", show_default=True, help="A model folder, or critters-dog, critters-cat."
)
@click.option("--cases", help="`one` handle, `four` handles, one with a `mask`; with commas [default: all].")
@click.option("--engines", default="auto", show_default=True, help="With commas: auto, whole, window.")
@click.option("--iterations", default=10, show_default=True, type=click.IntRange(1), help="Timed ones of each side.")
@click.option("--threads", type=click.IntRange(1), help="Cores to use, for both sides [default: all].")
@click.option("--torch/--no-torch", default=True, show_default=True, help="Whether the baseline takes part.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Whether to measure memory too.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out/bench"), show_default=True,
    help="Folder for bench.json.",
)  # fmt: skip
@with_device
def bench(
    model: str,
    cases: str | None,
    engines: str,
    iterations: int,
    threads: int | None,
    torch: bool,
    memory: bool,
    out: Path,
) -> None:
    """Time drags of a model, beside the baseline where PyTorch is installed: the published loop.

    Both sides drag the same handles of the same image on the same cores. Two tables come out, and bench.json with all
    numbers: time, what compiling costs, after how many iterations it has paid, and whether both sides went the same
    way; work, how far it is from the roofline that this machine's matmul rate and memory set, and memory.
    """
    share_accelerator()
    make_folder(out)  # before the work, which may be long
    if torch and not has_torch():
        click.echo(WITHOUT_TORCH)
    with cores(threads) as count:
        plan = make_plan(
            model=model, cases=cases, engines=engines, iterations=iterations, torch=torch, with_memory=memory
        )
        perform(plan, count, out / "bench.json")
