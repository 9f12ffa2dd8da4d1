"""Images from Python in one call, compiled: of latents, and of seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dragspace_jax.biggan import BigGAN, BigGANLatents
from dragspace_jax.inputs import start_latents
from dragspace_jax.networks.rendering import render_images, stacked
from dragspace_jax.placement import Where, one_device, placed
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.layers import Noise
from dragspace_jax.viz.sheets import to_uint8


def render(
    model: Generator | BigGAN,
    latents: Latents | BigGANLatents | ArrayLike,
    *,
    noise: Noise = "const",
    dtype: str = "float32",
    device: Where = None,
) -> np.ndarray:
    """Latents to images, by a program that is compiled once for a number of images.

    Args:
      model: the generator.
      latents: ws [L, D] or [n, L, D], or `Latents` of these shapes; of a BigGAN `BigGANLatents` of one image or of n.
      noise: `const`, `none` or `random`.
      dtype: of the synthesis, `float32` or `bfloat16`.
      device: where to run, `cpu`, `gpu:0`, …; None: where the model lies.

    Returns:
      uint8 [H, W, 3] of one image's latents, [n, H, W, 3] of several.

    Raises:
      DeviceError: no such device.
    """
    model = placed(model, one_device(device))
    if isinstance(latents, BigGANLatents):
        given, several = latents, np.ndim(latents.z) == 2
    else:
        given = latents if isinstance(latents, Latents) else Latents(ws=np.asarray(latents, np.float32))
        several = np.ndim(given.ws) == 3
    images = render_images(model, given if several else stacked([given]), noise=noise, dtype=dtype)
    return to_uint8(images if several else images[0])


def generate(
    model: Generator | BigGAN,
    seeds: Sequence[int],
    *,
    psi: float = 0.7,
    label: int | None = None,
    device: Where = None,
) -> np.ndarray:
    """The images that the published tools make of seeds, uint8 [n, H, W, 3], as `dragspace generate` does.

    Args:
      model: the generator.
      seeds: seed N is the latent RandomState(N).randn(1, Z), of a BigGAN a truncated normal by that generator.
      psi: truncation; 1 is none.
      label: class, for a model with classes.
      device: where to run, as `render` has it.

    Raises:
      InputError: psi is not finite, or the label does not fit the model.
      BigGANLatentsError: psi is no truncation of a BigGAN.
      DeviceError: no such device.
    """
    model = placed(model, one_device(device))
    return render(model, start_latents(model, seeds, psi=psi, label=label))
