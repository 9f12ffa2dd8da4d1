"""The DragGANSpace study: which of its claims hold on the embedded models, and what is better; resumable.

    python -m scripts.dragganspace_study run --work out/dragganspace      # drags; stop and start as you like
    python -m scripts.dragganspace_study evaluate --work out/dragganspace # likewise
    python -m scripts.dragganspace_study trace --work out/dragganspace    # a few, every iteration of them
    python -m scripts.dragganspace_study confirm --work out/dragganspace  # the few chosen, on other edits
    python -m scripts.dragganspace_study pace --work out/dragganspace     # time of a step; on a quiet machine
    python -m scripts.dragganspace_study gradient --work out/dragganspace   # half a minute
    python -m scripts.dragganspace_study landscape --work out/dragganspace
    python -m scripts.dragganspace_study report --work out/dragganspace --docs docs/study

Every cell (a space, its layers, components and whitening, a solver and its learning rate) runs the same edits, 64 a
model, whose targets are where the renderer puts the landmark after a change (`scripts/dragganspace/edits.py`); the
confirmation runs 128 others. What became of them is measured on the pictures, by a predictor trained on the renderer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from dragspace_jax.arrays import read_arrays
from dragspace_jax.checkpoint import load
from dragspace_jax.cli.console import progress
from dragspace_jax.critters import KINDS
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.critters.predictor import load_predictor, predictor_card
from dragspace_jax.networks.parameters import digest, fingerprint, parameters
from dragspace_jax.spaces import DEFAULT_LAYERS, Displacement, fit_pca, load_space, save_space
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import Generator
from scripts.dragganspace.cells import LAYERS, Cell, confirmation, grid, lengthened, paces, rivals, schedules, traced
from scripts.dragganspace.edits import StudyEdit, study_edits
from scripts.dragganspace.figures import CellFigures, evaluate_cells
from scripts.dragganspace.landscape import gradient_shares, plane, roads
from scripts.dragganspace.manifest import check_manifest
from scripts.dragganspace.pace import LANES, seconds_a_step
from scripts.dragganspace.plots import plot_landscape, plot_planes
from scripts.dragganspace.report import space_key, write_report
from scripts.dragganspace.runs import run_cells, train_displacements
from scripts.dragganspace.traces import trace_cells

EDITS_SEED, TRAINING_SEED, FRESH_SEED = 1, 2, 9
TRAINING_EDITS = 512
LANDSCAPE = (
    Cell(space="full", layers=DEFAULT_LAYERS, rate=2e-3),
    Cell(space="pca", layers=DEFAULT_LAYERS, components=32, power=1.0, rate=5e-2),
)
"""Whose ends the landscape lies between."""
LANDSCAPE_EDITS = {"dog": (0, 1), "cat": (1,)}
PARTS = {"lengthened": lengthened, "grid": grid, "rivals": rivals, "schedules": schedules, "paces": paces}
_LAYERS = ",".join(map(str, LAYERS))


def fresh_folder(work: Path, kind: str, edits: int) -> Path:
    """Where the confirmation's results are; those of other edits have a folder of their own."""
    return work / f"{kind}-{edits}-seed{FRESH_SEED}"


@click.group()
def main() -> None:
    """Measure the claims of DragGANSpace, and what goes beyond them."""


def pca_of(model: Generator, kind: str, work: Path) -> PCA:
    """The fitted PCA of a model, from the work folder if it is there."""
    file = work / f"{kind}-pca.npz"
    if not file.exists():
        save_space(fit_pca(model, samples=1_000_000), file)
    pca = load_space(file)
    assert isinstance(pca, PCA)
    return pca


def displacements_of(model: Generator, kind: str, work: Path) -> Displacement:
    """The fitted displacements of a model's drags, likewise."""
    file = work / f"{kind}-displacement.npz"
    if not file.exists():
        edits = study_edits(model, kind, TRAINING_EDITS, first_seed=TRAINING_SEED)
        with progress() as bar:
            save_space(train_displacements(model, edits, DEFAULT_LAYERS, fingerprint(model), bar), file)
    moved = load_space(file)
    assert isinstance(moved, Displacement)
    return moved


def bases_of(model: Generator, kind: str, work: Path, cells: Sequence[Cell]) -> tuple[PCA, Displacement | None]:
    """What the cells' spaces are made of; fitting displacements takes drags, so only where some cell moves in them."""
    moves = any(cell.space == "displacement" for cell in cells)
    return pca_of(model, kind, work), displacements_of(model, kind, work) if moves else None


def figures_of(model: Generator, kind: str, edits: list[StudyEdit], work: Path) -> CellFigures:
    """What evaluates a model's cells of these edits."""
    return CellFigures(model, edits, pca_of(model, kind, work), Evaluator.load(kind))


def chosen_cells(parts: str, layers: str = _LAYERS) -> list[Cell]:
    """The cells of the parts named that move so many layers, both separated by commas. Raises click.BadParameter."""
    names, numbers = parts.split(","), layers.split(",")
    if unknown := set(names) - set(PARTS):
        raise click.BadParameter(f"{', '.join(sorted(unknown))}: known parts are {', '.join(PARTS)}")
    if unknown := set(numbers) - set(_LAYERS.split(",")):
        raise click.BadParameter(f"{', '.join(sorted(unknown))} layers: the study moves {_LAYERS}")
    return [cell for name in names for cell in PARTS[name]() if str(cell.layers) in numbers]


def models(kinds: str, work: Path) -> list[tuple[str, Generator]]:
    """The models by kind, those that the work folder is of. Raises click.ClickException."""
    loaded = [(kind, load(f"critters-{kind}")) for kind in kinds.split(",")]
    parts = {f"critters-{kind}": fingerprint(model) for kind, model in loaded}
    check_manifest(work, {**parts, "predictor": digest(parameters(load_predictor()))})
    return loaded


_work = click.option(
    "--work", type=click.Path(path_type=Path), default=Path("out/dragganspace"), show_default=True,
    help="Folder of what has run.",
)  # fmt: skip
_kinds = click.option("--models", "kinds", default=",".join(KINDS), show_default=True, help="Of dog and cat.")
_edits = click.option("--edits", default=64, show_default=True, help="Edits a model.")
_fresh = click.option("--fresh", default=128, show_default=True, help="Edits a model that had no part in the choice.")
_docs = click.option(
    "--docs", type=click.Path(path_type=Path), default=Path("docs/study"), show_default=True,
    help="Folder of tables and plots.",
)  # fmt: skip


@main.command()
@_work
@_kinds
@click.option("--parts", default=",".join(PARTS), show_default=True, help=f"Of {', '.join(PARTS)}.")
@click.option("--layers", default=_LAYERS, show_default=True, help="Cells that move so many layers.")
@_edits
def run(work: Path, kinds: str, parts: str, layers: str, edits: int) -> None:
    """Drag every edit in every cell; what is there already is not run again."""
    cells = chosen_cells(parts, layers)
    for kind, model in models(kinds, work):
        bases = bases_of(model, kind, work, cells)
        subjects: list[StudyEdit] = study_edits(model, kind, edits, first_seed=EDITS_SEED)
        with progress() as bar:
            run_cells(model, cells, subjects, work / f"{kind}-{edits}", bases, bar)
        click.echo(f"{kind}: {len({c.key for c in cells})} cells of {len(subjects)} edits have run")


@main.command()
@_work
@_kinds
@_edits
def evaluate(work: Path, kinds: str, edits: int) -> None:
    """Evaluate every cell that has run, on its images; what is evaluated already is not evaluated again."""
    cells = chosen_cells(",".join(PARTS))
    for kind, model in models(kinds, work):
        subjects = study_edits(model, kind, edits, first_seed=EDITS_SEED)
        with progress() as bar:
            evaluate_cells(figures_of(model, kind, subjects, work), cells, work / f"{kind}-{edits}", bar)


@main.command()
@_work
@_kinds
@_edits
@click.option("--first", default=16, show_default=True, help="Edits a model that are traced, the first of all.")
def trace(work: Path, kinds: str, edits: int, first: int) -> None:
    """Drag in a few cells and look at every iteration: how the gradient turns, SSIM at equal distance."""
    for kind, model in models(kinds, work):
        subjects = study_edits(model, kind, min(first, edits), first_seed=EDITS_SEED)
        folder, pca, evaluator = work / f"{kind}-{edits}", pca_of(model, kind, work), Evaluator.load(kind)
        with progress() as bar:
            trace_cells(model, traced(), subjects, folder, pca, evaluator, bar)


@main.command()
@_work
@_kinds
@_fresh
def confirm(work: Path, kinds: str, fresh: int) -> None:
    """Drag and evaluate the few chosen cells on edits that had no part in the choice."""
    for kind, model in models(kinds, work):
        bases = bases_of(model, kind, work, confirmation())
        subjects = study_edits(model, kind, fresh, first_seed=FRESH_SEED)
        folder = fresh_folder(work, kind, fresh)
        with progress() as bar:
            run_cells(model, confirmation(), subjects, folder, bases, bar)
            evaluate_cells(figures_of(model, kind, subjects, work), confirmation(), folder, bar)


@main.command()
@_work
@_kinds
def pace(work: Path, kinds: str) -> None:
    """Time a step in every space, in one run; on a quiet machine."""
    names = {space_key(cell): cell for cell in [*grid(), *confirmation()]}
    for kind, model in models(kinds, work):
        bases = bases_of(model, kind, work, list(names.values()))
        charts = {name: (cell.chart(*bases), cell.settings(model.config)) for name, cell in names.items()}
        seconds = seconds_a_step(model, charts, study_edits(model, kind, LANES, first_seed=EDITS_SEED))
        (work / f"{kind}-pace.json").write_text(json.dumps(seconds, indent=1) + "\n")
        for name, each in seconds.items():
            base = seconds[space_key(Cell(space="full", layers=names[name].layers, rate=1.0))]
            click.echo(f"{kind} {name}: {1e3 * each:.3f} ms a step, {each / base:.3f} of full W+")


@main.command()
@_work
@_kinds
@_edits
@_docs
def gradient(work: Path, kinds: str, edits: int, docs: Path) -> None:
    """Plot where the gradient lies among the principal components; takes no drags, so no displacements."""
    docs.mkdir(parents=True, exist_ok=True)
    shares = {}
    for kind, model in models(kinds, work):
        subjects = study_edits(model, kind, edits, first_seed=EDITS_SEED)
        shares[kind] = gradient_shares(model, subjects, pca_of(model, kind, work), None)
    plot_landscape(shares, docs / "gradient.png")
    _tell_shares(shares)


def _tell_shares(shares: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    for kind, each in shares.items():
        held = {name: [round(float(values[k - 1]), 3) for k in (8, 16, 32, 64)] for name, values in each.items()}
        click.echo(f"{kind}: share held by the first 8, 16, 32, 64 components: {held}")


@main.command()
@_work
@_kinds
@_edits
@_docs
def landscape(work: Path, kinds: str, edits: int, docs: Path) -> None:
    """Plot where the gradient lies, displacements too, and the mismatch between the ends of two drags."""
    docs.mkdir(parents=True, exist_ok=True)
    shares, planes = {}, []
    ways: dict[str, list[np.ndarray]] = {"W+": [], "PCA 32, whitened": []}
    for kind, model in models(kinds, work):
        bases = pca_of(model, kind, work), displacements_of(model, kind, work)
        subjects = study_edits(model, kind, edits, first_seed=EDITS_SEED)
        shares[kind] = gradient_shares(model, subjects, *bases)
        ends = []
        for cell in LANDSCAPE:
            ends.append(read_arrays(work / f"{kind}-{edits}" / f"{cell.key}.npz")["ws"])
        for each, found in zip(ways.values(), ends, strict=True):
            each.append(roads(model, subjects, found, 25))
        for number in LANDSCAPE_EDITS[kind]:
            positions, values = plane(model, subjects[number], (ends[0][number], ends[1][number]), 25)
            planes.append((f"{kind}: {subjects[number].name}", positions, values))
    plot_landscape(shares, docs / "gradient.png")
    plot_planes(planes, {name: np.concatenate(each) for name, each in ways.items()}, docs / "landscape.png")
    for name, each in ways.items():
        profile = np.concatenate(each)
        rising = np.mean(np.maximum(np.diff(profile, axis=1), 0).sum(1))
        click.echo(f"{name}: mismatch at the end {profile[:, -1].mean():.3f}, climbed on the way {rising:.3f}")
    _tell_shares(shares)


@main.command()
@_work
@_kinds
@_edits
@_fresh
@_docs
def report(work: Path, kinds: str, edits: int, fresh: int, docs: Path) -> None:
    """Write tables.md, cells.csv and the plots."""
    card = predictor_card()
    error = max(each["landmark_px"] for name, each in card.items() if name.endswith("drawn"))
    found = [json.loads(file.read_text()) for kind in kinds.split(",") if (file := work / f"{kind}-pace.json").exists()]
    shared = set(found[0]).intersection(*found) if found else set()
    # Each model's paces relative to its own mean, so that neither counts for more.
    means = {name: float(np.mean([each[name] / np.mean(list(each.values())) for each in found])) for name in shared}
    folders = [work / f"{kind}-{edits}" for kind in kinds.split(",")]
    confirmed = [fresh_folder(work, kind, fresh) for kind in kinds.split(",")]
    write_report(folders, confirmed, error, means, docs)
    click.echo(f"written to {docs}; no difference of landmarks below {error} px is claimed")


if __name__ == "__main__":
    main()
