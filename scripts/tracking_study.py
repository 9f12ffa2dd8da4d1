"""Can a handle be found again by how it looks? Trackers on edits that are known to be right.

    python -m scripts.tracking_study

A sample of an embedded model and one attribute of its world to change: the latent of the changed world follows from a
linear fit of W by the world's variables, and its picture is close to the renderer's. On that picture, which is what a
drag should end with, each tracker looks for the patch around the handle of the start. Told is how far from the landmark
it finds it, and how far the landmark went.
"""

from __future__ import annotations

import dataclasses

import click
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtri

import dragspace_jax as ds
from dragspace_jax.critters import ATTRIBUTES, KINDS
from dragspace_jax.critters.attributes import NAMES, SPREAD, unsquashed
from dragspace_jax.drag.patch_tracking import PatchTracking
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.mapping import normalise_second_moment
from scripts.dragganspace.edits import CHANGES, StudyEdit, study_edits

SEED = 901
SAMPLES = 6000
TRACKERS = ((32, 2), (64, 0), (64, 1), (64, 2), (64, 4), (128, 2), (128, 4))
"""Feature block and arm."""
RADIUS = 16  # px that are searched on each side: the other eye is farther


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """Linear fits between W and the world's variables.

    Attributes:
      towards: [A, D], of w by the variables.
      read: [D + 1, A], of the variables by w and 1.
    """

    towards: np.ndarray
    read: np.ndarray

    @classmethod
    def fitted(cls, model: Generator) -> World:
        z = np.random.RandomState(3).randn(SAMPLES, model.config.z_dim).astype(np.float32)
        variables = np.asarray(unsquashed(normalise_second_moment(jnp.asarray(z))))
        w = np.asarray(model.mapping(jnp.asarray(z)))[:, 0]
        ones = np.ones((SAMPLES, 1))
        towards = np.linalg.lstsq(np.concatenate([variables, ones], 1), w, rcond=None)[0][:-1]
        return cls(towards=towards, read=np.linalg.lstsq(np.concatenate([w, ones], 1), variables, rcond=None)[0])

    def edited(self, edit: StudyEdit, attribute: str) -> np.ndarray:
        """ws [L, D] with one attribute as it is wanted."""
        index = NAMES.index(attribute)
        known = ATTRIBUTES[index]
        share = np.clip((edit.wanted[index] - known.low) / (known.high - known.low), 1e-3, 1.0 - 1e-3)
        wanted = (ndtri(share) - ndtri(known.centre)) / SPREAD
        now = np.append(edit.ws[0], 1.0) @ self.read[:, index]
        return (edit.ws + (wanted - now) * self.towards[index]).astype(np.float32)


def found(model: Generator, edits: list[StudyEdit], after: np.ndarray, block: int, arm: int) -> np.ndarray:
    """Where a tracker finds the handles [E, 2] in pictures of ws [E, L, D]."""
    tracking = PatchTracking(arm=arm)
    network = model.prepare(
        block=block, reach=RADIUS + (arm + 2) * 4, handles=1.0, windows=False, noise="const", dtype="float32",
        platform=jax.default_backend(),
    )  # fmt: skip
    handles = jnp.asarray(np.stack([edit.handle_yx for edit in edits]), jnp.float32)
    image = jnp.arange(len(edits), dtype=jnp.int32)

    @jax.jit
    def track(before: jax.Array, after: jax.Array) -> jax.Array:
        start, end = (network.features(network.styles(Latents(ws=ws)), handles, image) for ws in (before, after))
        reference = tracking.patch(start, handles)
        return tracking.track(end, reference, handles, RADIUS).places

    return np.asarray(track(jnp.asarray(np.stack([edit.ws for edit in edits])), jnp.asarray(after)))


@click.command(context_settings={"show_default": True})
@click.option("--count", default=96, help="Edits, half of them of each model; those of whole poses are left out.")
def main(count: int) -> None:
    """Print a table: medians in pixels of the 128 px image, by what changes."""
    missed: dict[tuple[int, int], list[np.ndarray]] = {tracker: [] for tracker in TRACKERS}
    names: list[str] = []
    ways: list[float] = []
    for kind in KINDS:
        model = ds.load(f"critters-{kind}")
        world = World.fitted(model)
        changes = [CHANGES[number % len(CHANGES)] for number in range(count // len(KINDS))]
        chosen = [
            (edit, attribute)
            for edit, (_, attribute) in zip(
                study_edits(model, kind, count // len(KINDS), first_seed=SEED), changes, strict=True
            )
            if attribute is not None
        ]
        edits = [edit for edit, _ in chosen]
        after = np.stack([world.edited(edit, attribute) for edit, attribute in chosen])
        targets = np.stack([edit.target_yx for edit in edits])
        names += [edit.name for edit in edits]
        ways += [float(np.linalg.norm(edit.target_yx - edit.handle_yx)) for edit in edits]
        for block, arm in TRACKERS:
            missed[block, arm].append(np.linalg.norm(found(model, edits, after, block, arm) - targets, axis=1))
    groups = list(dict.fromkeys(names))
    rows = {"the landmark's way": np.array(ways)} | {
        f"block {block}, {2 * arm + 1} × {2 * arm + 1}": np.concatenate(parts) for (block, arm), parts in missed.items()
    }
    click.echo("| tracker | " + " | ".join(groups) + " |")
    click.echo("|---" * (len(groups) + 1) + "|")
    for name, values in rows.items():
        medians = [np.median(values[np.array(names) == group]) for group in groups]
        click.echo(f"| {name} | " + " | ".join(f"{median:.1f}" for median in medians) + " |")


if __name__ == "__main__":
    main()
