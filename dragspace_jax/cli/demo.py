"""`dragspace demo`: eight edits on the embedded models, by the published loop and by least change, and their page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from dragspace_jax.checkpoint import load
from dragspace_jax.cli.console import progress
from dragspace_jax.cli.device_option import with_device
from dragspace_jax.cli.errors import disk_errors
from dragspace_jax.cli.page import Section, write_page
from dragspace_jax.drag import DragResult, Outcome, drag_one
from dragspace_jax.drag.recipes import Recipe, recipe
from dragspace_jax.inputs import seed_latents
from dragspace_jax.results import save_drag, summary
from dragspace_jax.stylegan2 import Generator

Points = tuple[tuple[float, float], ...]
RECIPES = ("published", "least-change")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoEdit:
    """One edit of the demonstration: points are (x, y) pixels of the 128 px image of `seed`."""

    title: str
    model: str
    seed: int
    handles: Points
    targets: Points


EDITS = (
    DemoEdit(title="turn the head", model="critters-dog", seed=31, handles=((52, 70),), targets=((75, 69),)),
    DemoEdit(title="raise an ear", model="critters-dog", seed=13, handles=((31, 66),), targets=((18, 34),)),
    DemoEdit(  # the nose stays where it is
        title="open the mouth",
        model="critters-dog",
        seed=4,
        handles=((68, 100), (74, 72)),
        targets=((66, 113), (74, 72)),
    ),
    DemoEdit(  # the nose and the lower lid stay
        title="narrow an eye",
        model="critters-dog",
        seed=2,
        handles=((44, 57), (52, 82), (41, 74)),
        targets=((44, 65), (52, 82), (41, 74)),
    ),
    DemoEdit(title="turn the head", model="critters-cat", seed=18, handles=((72, 72),), targets=((55, 69),)),
    DemoEdit(title="lay an ear aside", model="critters-cat", seed=33, handles=((38, 15),), targets=((25, 26),)),
    DemoEdit(
        title="open the mouth",
        model="critters-cat",
        seed=1,
        handles=((67, 90), (66, 69)),
        targets=((67, 100), (66, 69)),
    ),
    DemoEdit(title="narrow an eye", model="critters-cat", seed=4, handles=((58, 50),), targets=((57, 61),)),
)
STEPS = 200
PSI = 1.0


def _recipe(name: str, model: Generator) -> Recipe:
    known = recipe(name, model)
    if name != "published":
        return known
    settings = dataclasses.replace(known.settings, learning_rate=2e-3, steps=STEPS)  # the rate of the DragGAN paper
    return dataclasses.replace(known, settings=settings)


def _flipped(points: Points) -> list[tuple[float, float]]:
    return [(y, x) for x, y in points]


def _table(results: list[tuple[DemoEdit, str, DragResult]]) -> Table:
    table = Table("edit", "model", "recipe", "outcome", "steps", "distance, px", "seconds")
    for edit, name, result in results:
        style = "green" if result.outcome == Outcome.REACHED else "yellow"
        distances = ", ".join(f"{distance:.1f}" for distance in result.distances)
        outcome = f"[{style}]{result.outcome.label}[/]"
        table.add_row(edit.title, edit.model, name, outcome, str(result.steps), distances, f"{result.seconds:.1f}")
    return table


@click.command()
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out/demo"), show_default=True,
    help="Folder for the page and its pictures.",
)  # fmt: skip
@with_device
def demo(out: Path) -> None:
    """Drag points on images of the embedded StyleGAN2 models and write a page of pictures, index.html."""
    models = {name: load(name) for name in dict.fromkeys(edit.model for edit in EDITS)}
    results: list[tuple[DemoEdit, str, DragResult]] = []
    sections = []
    with progress() as bar:
        task = bar.add_task("dragging", total=len(EDITS) * len(RECIPES))
        for edit in EDITS:
            model = models[edit.model]
            start = seed_latents(model, [edit.seed], psi=PSI)[0]
            for name in RECIPES:
                bar.update(task, description=f"{edit.model.removeprefix('critters-')}: {edit.title}, {name}")
                known = _recipe(name, model)
                result = drag_one(
                    model,
                    start,
                    _flipped(edit.handles),
                    _flipped(edit.targets),
                    space=known.space,
                    settings=known.settings,
                )
                folder = f"{edit.model}-{edit.title.replace(' ', '-')}-{name}"
                with disk_errors(out, "run the command again"):
                    save_drag(out / folder, result, details={**dataclasses.asdict(edit), "psi": PSI}, overwrite=True)
                results.append((edit, name, result))
                assert result.quality is not None  # only invalid edits have none
                facts = {**summary(result), "verdict": result.quality.verdict}
                sections.append(Section(title=f"{edit.title} ({edit.model}, {name})", folder=folder, facts=facts))
                bar.update(task, advance=1)
    write_page(out / "index.html", sections)
    Console().print(_table(results))
    for name in RECIPES:
        ended = [result.outcome for _, kind, result in results if kind == name]
        click.echo(f"{name}: {ended.count(Outcome.REACHED)} of {len(ended)} edits reached their targets")
    click.echo(f"see {out / 'index.html'}")
