"""The README's pictures of the embedded StyleGAN2 models: 64 samples of each, and what principal components of W do.

python -m scripts.embedded_sheets --out docs
"""

from __future__ import annotations

from pathlib import Path

import click
import jax
import numpy as np
from PIL import Image

from dragspace_jax.checkpoint import load
from dragspace_jax.critters import KINDS
from dragspace_jax.spaces import fit_pca
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.rendering import render_images
from dragspace_jax.viz.sheets import contact_sheet, to_uint8
from dragspace_jax.viz.traversal import traversal_sheet

QUALITY = 85  # of the JPEGs: a fifth of a PNG's size


def samples(model: Generator, count: int) -> np.ndarray:
    """`count` images at psi 1, not selected: a sheet, uint8 [H, W, 3]."""
    z = jax.random.normal(jax.random.key(7), (count, model.config.z_dim))
    return contact_sheet(to_uint8(render_images(model, np.asarray(model.mapping(z)))), columns=8, padding=0)


@click.command(context_settings={"show_default": True})
@click.option("--components", default=6, help="Principal components to show.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs"), help="Folder of the pictures.")
def main(components: int, out: Path) -> None:
    """Write the sample sheets and the traversals of the principal components."""
    out.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        name = f"critters-{kind}"
        model = load(name)
        Image.fromarray(samples(model, 64)).save(out / f"{name}.jpg", quality=QUALITY)
        sheet = traversal_sheet(model, fit_pca(model), rows=components)
        Image.fromarray(sheet).save(out / f"{name}-pca.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
