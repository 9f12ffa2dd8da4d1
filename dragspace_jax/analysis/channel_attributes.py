"""What style channels do to attributes of critters, in first order, as the predictor reads them.

Source: StyleSpace (arXiv 2011.12799), section 6, for attribute dependency: changes of attributes over their deviations.
There edits are made and read; here one reverse pass an attribute gives the slopes of all channels at once.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64

from dragspace_jax.analysis.channels import channel_names
from dragspace_jax.analysis.styles import StyleStatistics, style_statistics
from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.evaluator import Evaluator
from dragspace_jax.critters.predictor import Predictor, unscaled_attributes
from dragspace_jax.inputs import seed_latents
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.synthesis import Synthesis

_DEVIATIONS_OF = 256  # samples, not truncated, that the attributes' deviations are read from
_TOGETHER = 8  # attributes pulled back at once


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class AttributeChanges:
    """Changes of A attributes by K channels.

    Attributes:
      names: of the attributes.
      changes: [K, A], the mean over images of the absolute slope, in deviations of the attribute per deviation of the
        channel.
    """

    names: tuple[str, ...]
    changes: Float64[np.ndarray, "K A"]

    def most(self, channel: int) -> tuple[str, float, float]:
        """The attribute that a channel changes most, how much, and its attribute dependency: the mean change of the
        others for a change of one deviation of that."""
        row = self.changes[channel]
        best = int(row.argmax())
        others = (row.sum() - row[best]) / (len(row) - 1)
        return self.names[best], float(row[best]), float(others / row[best]) if row[best] > 0 else float("inf")


def attribute_changes(
    model: Generator,
    evaluator: Evaluator,
    *,
    images: int = 8,
    psi: float = 0.7,
    statistics: StyleStatistics | None = None,
) -> AttributeChanges:
    """Slopes of the attributes that the evaluator reads reliably, over the images of seeds 0 … images − 1.

    Args:
      model: an embedded model.
      evaluator: of its species.
      images: number of seeds.
      psi: their truncation.
      statistics: of the model's styles; None: those of its 100,000 samples.
    """
    known = style_statistics(model) if statistics is None else statistics
    deviations = np.concatenate(list(known.without_rgb().deviation.values()))
    read = evaluator.predict_latents(model, seed_latents(model, range(_DEVIATIONS_OF), psi=1.0)).attributes
    spread = read.std(0)
    total = np.zeros((len(channel_names(model)), len(NAMES)))
    for seed in range(images):
        ws = jnp.asarray(seed_latents(model, [seed], psi=psi))
        total += np.abs(np.asarray(_slopes(model.synthesis, evaluator.predictor, ws), np.float64)).T
    columns = [NAMES.index(name) for name in evaluator.reliable]
    changes = total[:, columns] / images * deviations[:, None] / spread[columns]
    return AttributeChanges(names=tuple(evaluator.reliable), changes=changes)


@jax.jit
def _slopes(synthesis: Synthesis, predictor: Predictor, ws: Float[jax.Array, "1 L D"]) -> Float[jax.Array, "A K"]:
    styles = synthesis.styles(ws)
    moved = {name: style for name, style in styles.items() if not name.endswith(".torgb")}

    def read(moved: dict[str, jax.Array]) -> jax.Array:
        image = synthesis.render({**styles, **moved}).image
        assert image is not None  # nothing stops below the top here
        return unscaled_attributes(predictor(image).attributes)[0]

    value, pull = jax.vjp(read, moved)
    rows = jax.lax.map(lambda row: pull(row)[0], jnp.eye(len(value)), batch_size=_TOGETHER)
    return jnp.concatenate([rows[name][:, 0] for name in moved], -1)
