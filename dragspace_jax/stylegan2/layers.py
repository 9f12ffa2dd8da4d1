"""The generator's layers on tiles: dense, modulated convolution, synthesis layer, ToRGB.

Source: StyleGAN2 (arXiv 1912.04958), section 2.2 for modulation. Unfused here: the activations are scaled by the styles
before a convolution and by the demodulation after it, so that images with different styles share one dense convolution.
Weights are stored with unit variance; the run-time gain is applied on use (equalised learning rate). Dense layers,
styles and demodulation always run at highest precision, since everything hangs on them and they cost nothing;
convolutions follow `jax.default_matmul_precision`.
"""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, PRNGKeyArray

from dragspace_jax.stylegan2.convolution import Kernel, convolve_valid, transposed_convolution
from dragspace_jax.stylegan2.resample import Taps, filter_valid
from dragspace_jax.stylegan2.tile import Tile

Noise = Literal["const", "random", "none"]
LRELU_GAIN = math.sqrt(2.0)
_HIGHEST = jax.lax.Precision.HIGHEST


class Buffer(nnx.Variable[Array]):
    """A constant of the network that no optimiser moves: w_avg, noise maps."""


def leaky_relu(
    x: Float[Array, "*shape"], gain: float = LRELU_GAIN, clamp: float | None = None
) -> Float[Array, "*shape"]:
    """Leaky ReLU of slope 0.2, times `gain`, limited to ±`clamp` (a limit after the gain)."""
    y = jax.nn.leaky_relu(x, 0.2) * gain
    return y if clamp is None else jnp.clip(y, -clamp, clamp)


class Dense(nnx.Module):
    """A fully connected layer with equalised learning rate."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rngs: nnx.Rngs,
        lr_multiplier: float = 1.0,
        bias_init: float = 0.0,
        activate: bool = False,
    ):
        self.weight = nnx.Param(rngs.params.normal((in_features, out_features)) / lr_multiplier)
        self.bias = nnx.Param(jnp.full((out_features,), bias_init, jnp.float32))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.activate = activate

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        y = jnp.matmul(x, self.weight[...] * self.weight_gain, precision=_HIGHEST)
        y = y + jnp.broadcast_to(self.bias[...] * self.bias_gain, y.shape)
        return leaky_relu(y) if self.activate else y


def demodulation(energy: Float32[Array, "I O"], style: Float32[Array, "B I"]) -> Float32[Array, "B O"]:
    """1 / ‖weight · style‖ for every output channel; `energy` is the weight's."""
    return jax.lax.rsqrt(jnp.matmul(jnp.square(style), energy, precision=_HIGHEST) + 1e-8)


def _per_channel(style: Float[Array, "B C"], dtype: jnp.dtype) -> Float[Array, "B 1 1 C"]:
    return style[:, None, None, :].astype(dtype)


class SynthesisLayer(nnx.Module):
    """Modulated 3×3 convolution, noise, bias, activation; with `up`, transposed and filtered."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        w_dim: int,
        resolution: int,
        *,
        rngs: nnx.Rngs,
        up: Taps | None,
        clamp: float | None,
        use_noise: bool,
    ):
        self.affine = Dense(w_dim, in_channels, rngs=rngs, bias_init=1.0)
        self.weight = nnx.Param(rngs.params.normal((3, 3, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros((out_channels,), jnp.float32))
        self.use_noise = use_noise
        if use_noise:
            self.noise_const = Buffer(rngs.params.normal((resolution, resolution)))
            self.noise_strength = nnx.Param(jnp.zeros((), jnp.float32))
        self.up = up
        self.clamp = clamp

    def kernel(self, dtype: jnp.dtype | type, platform: str | None = None) -> Kernel:
        """The weight made ready for values of type `dtype` on a platform (None: any)."""
        return Kernel.of(self.weight[...], transposed=self.up is not None, dtype=dtype, platform=platform)

    def __call__(
        self,
        x: Tile,
        style: Float32[Array, "B I"],
        *,
        noise: Noise,
        key: PRNGKeyArray | None,
        kernel: Kernel | None = None,
        gain: float = 1.0,
    ) -> Tile:
        """The tile that this layer can compute of its output; x has I channels.

        `kernel` is what `kernel()` made, if it was made before; `gain` scales the result.
        """
        dtype = x.values.dtype
        kernel = self.kernel(dtype) if kernel is None else kernel
        ready = x.with_values(x.values * _per_channel(style, dtype)).for_stencil()
        if self.up is None:
            y = ready.shrunk(convolve_valid(ready.values, kernel.parts[0], platform=kernel.platform))
        else:
            y = ready.doubled(filter_valid(transposed_convolution(ready.values, kernel), self.up))
        values = y.values * _per_channel(demodulation(kernel.energy, style), dtype)
        if self.use_noise and noise != "none":
            values = values + (self._noise(y, noise, key) * self.noise_strength[...]).astype(dtype)
        values = values + jnp.broadcast_to(self.bias[...].astype(dtype), values.shape)
        limit = None if self.clamp is None else self.clamp * gain
        return y.with_values(leaky_relu(values, LRELU_GAIN * gain, limit))

    def _noise(self, y: Tile, noise: Noise, key: PRNGKeyArray | None) -> Float[Array, "B h w 1"]:
        """The noise under the tile."""
        if noise == "const":
            constant = y.cut_from(self.noise_const[...])
            return jnp.broadcast_to(constant[..., None], (*y.values.shape[:3], 1))
        if key is None or y.origin_yx is not None:
            raise ValueError("random noise needs a key and a whole map")
        return jax.random.normal(key, (*y.values.shape[:3], 1))


class ToRGB(nnx.Module):
    """Modulated 1×1 convolution to image channels, not demodulated, without noise."""

    def __init__(self, in_channels: int, img_channels: int, w_dim: int, *, rngs: nnx.Rngs, clamp: float | None):
        self.affine = Dense(w_dim, in_channels, rngs=rngs, bias_init=1.0)
        self.weight = nnx.Param(rngs.params.normal((1, 1, in_channels, img_channels)))
        self.bias = nnx.Param(jnp.zeros((img_channels,), jnp.float32))
        self.gain = 1.0 / math.sqrt(in_channels)
        self.clamp = clamp

    def __call__(self, x: Tile, style: Float32[Array, "B C"]) -> Float32[Array, "B h w img_channels"]:
        """The image of a tile of C channels, float32 whatever the type of x."""
        y = convolve_valid(x.values * _per_channel(style * self.gain, x.values.dtype), self.weight[...])
        y = y.astype(jnp.float32)
        y = y + jnp.broadcast_to(self.bias[...], y.shape)
        return y if self.clamp is None else jnp.clip(y, -self.clamp, self.clamp)


class Conv(nnx.Module):
    """A plain convolution with equalised learning rate: the skip paths and the discriminator's layers."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, rngs: nnx.Rngs, bias: bool = True):
        self.weight = nnx.Param(rngs.params.normal((kernel, kernel, in_channels, out_channels)))
        if bias:
            self.bias = nnx.Param(jnp.zeros((out_channels,), jnp.float32))
        self.has_bias = bias
        self.gain = 1.0 / math.sqrt(in_channels * kernel * kernel)

    def __call__(self, x: Float[Array, "B h w I"], stride: int = 1) -> Float[Array, "B _ _ O"]:
        """The convolution without padding."""
        y = convolve_valid(x, self.weight[...] * self.gain, stride=stride)
        return y + jnp.broadcast_to(self.bias[...].astype(y.dtype), y.shape) if self.has_bias else y
