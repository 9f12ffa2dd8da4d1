"""Pictures of two models of one kind beside the drawings of the same latents: how far each is from what it shows.

    python -m scripts.compare_critters dog before/critters-dog critters-dog --out docs

Writes `critters-dog-compared.jpg`, 64 samples a panel, and `critters-dog-states.jpg`, a row a model: the most closed
eyes and the widest mouths of 1,000 latents. From left to right and from above: the models as named, then the drawings.
"""

from __future__ import annotations

from pathlib import Path

import click
import jax
import numpy as np
from PIL import Image

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import KINDS, LATENT_DIM
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.sheets import contact_sheet, to_uint8
from scripts.critter_pictures import attributes_of
from scripts.evaluate_critters import drawings

SAMPLES, CANDIDATES, STATES = 64, 1_000, 10
SEED = 7  # that of the README's sheets


def extreme(z: jax.Array) -> jax.Array:
    """Of latents [B, 32], those with the most closed eyes, then those with the widest mouths: [2 · STATES, 32]."""
    attributes = np.asarray(attributes_of(z, z))
    eyes = attributes[:, [NAMES.index(f"eye_opening_{side}") for side in ("left", "right")]].max(1)
    mouths = attributes[:, NAMES.index("mouth_opening")]
    return z[np.concatenate([np.argsort(eyes)[:STATES], np.argsort(-mouths)[:STATES]])]


def panels(kind: str, models: tuple[str, ...], z: jax.Array, columns: int) -> list[np.ndarray]:
    """A sheet for each model and one of the drawings."""
    loaded = [load(name) for name in models]
    images = [render_images(model, np.asarray(model.mapping(z))) for model in loaded]
    images.append(np.asarray(drawings(kind, np.asarray(attributes_of(z, z))).image))
    return [contact_sheet(to_uint8(each), columns=columns, padding=0) for each in images]


@click.command(context_settings={"show_default": True})
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("models", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs"), help="Folder of the pictures.")
@click.option("--quality", default=80, help="Of the JPEG.")
def main(kind: str, models: tuple[str, ...], out: Path, quality: int) -> None:
    """Write both sheets of MODELS (folders or names) of one KIND."""
    out.mkdir(parents=True, exist_ok=True)
    z = jax.random.normal(jax.random.key(SEED), (SAMPLES, LATENT_DIM))
    sheet = np.concatenate(panels(kind, models, z, 8), 1)
    Image.fromarray(sheet).save(out / f"critters-{kind}-compared.jpg", quality=quality)
    rare = extreme(jax.random.normal(jax.random.key(SEED + 1), (CANDIDATES, LATENT_DIM)))
    rows = np.concatenate(panels(kind, models, rare, 2 * STATES), 0)
    Image.fromarray(rows).save(out / f"critters-{kind}-states.jpg", quality=quality)


if __name__ == "__main__":
    main()
