"""What an edit of a BigGAN image moves, returns and stores, and which statistics a truncation asks for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32

from dragspace_jax.biggan.config import BigGANConfig
from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks.one_image import one_image

_NAMES = ("z", "class_embedding", "statistics")


class BigGANLatentsError(DragspaceError):
    """Latents or a truncation that do not fit the model; the message says which and what fits."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class BigGANLatents:
    """An image's latents, or several images' with leading axes. A pytree.

    Attributes:
      z: [..., Z].
      class_embedding: [..., Z], the class as the network embeds it.
      statistics: [..., S], weights of the sets of batch-norm statistics (`statistics_of` a truncation).
    """

    z: Any
    class_embedding: Any
    statistics: Any

    def arrays(self) -> dict[str, np.ndarray]:
        """The latents as files hold them, under the fields' names."""
        return {name: np.asarray(getattr(self, name)) for name in _NAMES}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> BigGANLatents:
        """What `arrays` gave; other names are passed over. Raises BigGANLatentsError if one is missing."""
        missing = [name for name in _NAMES if name not in arrays]
        if missing:
            raise BigGANLatentsError(
                f"there is no array `{missing[0]}`; a BigGAN's latents are {', '.join(f'`{name}`' for name in _NAMES)}"
            )
        return cls(**{name: arrays[name] for name in _NAMES})


def statistics_of(truncation: float, n_stats: int) -> Float32[np.ndarray, " S"]:
    """Weights of the sets of statistics for a truncation, as the public package takes them.

    Between two sets it gives the lower one the share that the upper one is due, and so do we, for equal images: its
    models' pictures are known with it. The place among the sets is found in float64, as there.

    Raises:
      BigGANLatentsError: the truncation is not above 0 and at most 1.
    """
    if not 0.0 < truncation <= 1.0:
        raise BigGANLatentsError(f"psi is {truncation}: a BigGAN takes a truncation above 0, at most 1", field="psi")
    share, place = math.modf(float(truncation) / (1.0 / (n_stats - 1)))
    lower = min(int(place), n_stats - 1)
    weights = np.zeros(n_stats, np.float32)
    if share == 0.0 or lower == n_stats - 1:
        weights[lower] = 1.0
    else:
        weights[lower], weights[lower + 1] = share, 1.0 - share
    return weights


def check_latents(config: BigGANConfig, latents: Any) -> BigGANLatents:
    """One image's latents as float32 NumPy arrays: z [Z], class embedding [Z], statistics [S].

    Raises:
      BigGANLatentsError: they do not fit the model or are not finite.
    """
    if not isinstance(latents, BigGANLatents):
        raise BigGANLatentsError(
            "the latents of a BigGAN are `BigGANLatents`, as `start_latents` makes them of seeds; "
            f"this is a {type(latents).__name__}"
        )
    widths = {"z": config.z_dim, "class_embedding": config.z_dim, "statistics": config.n_stats}
    given = {name: getattr(latents, name) for name in _NAMES}
    checked = {
        name: one_image(value, (widths[name],), BigGANLatentsError, name=f"values of {name}")
        for name, value in given.items()
    }
    return BigGANLatents(**checked)
