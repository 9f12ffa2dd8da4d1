"""What an edit of a StyleGAN2 image moves, returns and stores: W+, and offsets of styles where there are any."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks.one_image import one_image
from dragspace_jax.stylegan2.config import GeneratorConfig

_PREFIX = "styles/"


class LatentsError(DragspaceError):
    """Latents that do not fit the model; the message says which and what fits."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, kw_only=True)
class Latents:
    """An image's latents, or several images' with leading axes. A pytree.

    Attributes:
      ws: [..., L, D], a w for every layer of W+.
      offsets: {name of a convolution: [..., C]}, added to the styles that the affine maps make of ws (the style space
        of StyleSpace, arXiv 2011.12799, section 3); convolutions that are not named have none.
    """

    ws: Any
    offsets: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def arrays(self) -> dict[str, np.ndarray]:
        """The latents as files hold them: `ws`, and `styles/NAME` for every offset."""
        return {"ws": np.asarray(self.ws)} | {_PREFIX + name: np.asarray(v) for name, v in self.offsets.items()}

    @classmethod
    def stack(cls, latents: Sequence[Latents]) -> Latents:
        """Several images' latents [L, D] with offsets of the same convolutions: [n, L, D]."""
        return jax.tree.map(lambda *leaves: np.stack(leaves), *latents)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Latents:
        """What `arrays` gave; other names are passed over. Raises LatentsError without `ws`."""
        if "ws" not in arrays:
            raise LatentsError(f"there is no array `ws`; there is {', '.join(arrays) or 'none'}")
        offsets = {name.removeprefix(_PREFIX): v for name, v in arrays.items() if name.startswith(_PREFIX)}
        return cls(ws=arrays["ws"], offsets=offsets)


def check_latents(config: GeneratorConfig, channels: Mapping[str, int], latents: Latents | ArrayLike) -> Latents:
    """One image's latents as float32 NumPy arrays: ws [L, D], offsets [C].

    Args:
      config: the model's.
      channels: {name of a convolution: number C of its styles}.
      latents: `Latents`, or ws alone; [L, D] or [1, L, D].

    Raises:
      LatentsError: they do not fit the model or are not finite.
    """
    given = latents if isinstance(latents, Latents) else Latents(ws=latents)
    unknown = sorted(set(given.offsets) - set(channels))
    if unknown:
        raise LatentsError(f"the latents have offsets of {', '.join(unknown)}, convolutions that the model has not")
    return Latents(
        ws=one_image(given.ws, (config.num_ws, config.w_dim), LatentsError, name="latents"),
        offsets={
            name: one_image(value, (channels[name],), LatentsError, name=f"offsets of {name}")
            for name, value in sorted(given.offsets.items())
        },
    )
