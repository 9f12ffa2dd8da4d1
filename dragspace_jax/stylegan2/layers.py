"""The generator's layers on tiles: dense, modulated convolution, synthesis layer, ToRGB.

Source: StyleGAN2 (arXiv 1912.04958), section 2.2 for modulation. Unfused here: the activations are scaled by the styles
before a convolution and by the demodulation after it, so that images with different styles share one dense convolution.
Weights are stored with unit variance; the run-time gain is applied on use (equalised learning rate). Dense layers,
styles and demodulation always run at highest precision, since everything hangs on them and they cost nothing;
convolutions follow `jax.default_matmul_precision`. What lies between two convolutions is float32 whatever their type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32, Int32, PRNGKeyArray

from dragspace_jax.networks.convolution import convolve_valid, is_accelerator
from dragspace_jax.networks.parameters import Buffer
from dragspace_jax.stylegan2.convolution import Kernel, transposed_convolution
from dragspace_jax.stylegan2.recalled import recalled
from dragspace_jax.stylegan2.resample import Taps, filter_valid, filter_window, stored
from dragspace_jax.stylegan2.tile import Tile, Window

Noise = Literal["const", "random", "none"]
LRELU_GAIN = math.sqrt(2.0)
_HIGHEST = jax.lax.Precision.HIGHEST


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


def _scaled(values: Float[Array, "N h w C"], style: Float32[Array, "B C"]) -> Float32[Array, "N h w C"]:
    """Every channel times its style; one style may serve all."""
    return values.astype(jnp.float32) * style[:, None, None, :]


def _plain(x: Float[Array, "N h w I"], kernel: Kernel) -> Float[Array, "N h-2 w-2 O"]:
    return convolve_valid(x, kernel.parts[0], platform=kernel.platform)


def _raised(x: Float[Array, "N n n I"], kernel: Kernel, *, taps: Taps) -> Float[Array, "N 2*(n-2) 2*(n-2) O"]:
    return filter_valid(transposed_convolution(x, kernel), taps)


def _raised_rows(
    x: Float[Array, "N n n I"], kernel: Kernel, offset: Int32[Array, " N"], *, taps: Taps, size: int
) -> Float[Array, "N {size} {size}+4 O"]:
    spread = transposed_convolution(x, kernel)[:, :, : size + 4]  # the columns that the rest of the filter reads
    return stored(filter_window(spread, 1, offset, taps, size))


def _linear(
    function: Callable[..., jax.Array],
    x: Float[Array, "N h w I"],
    operands: tuple[Any, ...],
    place: Callable[[jax.Array], Tile],
    known: Tile | None,
) -> Tile:
    """A function of x at its place; where the values are known, only its derivative is computed."""
    if known is None:
        return place(function(x, *operands))
    shape = jax.eval_shape(function, x, *operands)
    there = place(jnp.zeros(shape.shape, shape.dtype))
    values = known.under(there, by_products=is_accelerator(operands[0].platform))
    return place(recalled(function, values, x, operands))


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
        kernel = self.kernel(x.values.dtype) if kernel is None else kernel
        return self.activated(self.convolved(x, style, kernel), style, kernel, noise=noise, key=key, gain=gain)

    def convolved(
        self,
        x: Tile,
        style: Float32[Array, "B I"],
        kernel: Kernel,
        *,
        window: Window | None = None,
        known: Tile | None = None,
    ) -> Tile:
        """The layer's first half: modulated, convolved, filtered; with `window` filtered along columns only.

        Args:
          x: a tile of I channels.
          style: of each image.
          kernel: the weight made ready.
          window: the part of the result that is wanted, if not all of it. It begins at most one position later on each
            axis. Only accelerators have it; elsewhere what comes after is cut.
          known: this very result on more positions, if somebody has it: only derivatives are then computed.
        """
        ready = x.with_values(_scaled(x.values, style)).for_stencil()
        values = ready.values.astype(x.values.dtype)
        if self.up is None:
            return _linear(_plain, values, (kernel,), ready.shrunk, known)
        if window is None:
            return _linear(partial(_raised, taps=self.up), values, (kernel,), ready.doubled, known)
        place = ready.doubled_rows(window)
        rows = partial(_raised_rows, taps=self.up, size=window[1])
        offset = ready.doubled_offset(window)[:, 0]
        return _linear(rows, values, (kernel, offset), place, known)

    def activated(
        self,
        y: Tile,
        style: Float32[Array, "B I"],
        kernel: Kernel,
        *,
        noise: Noise,
        key: PRNGKeyArray | None,
        gain: float = 1.0,
        window: Window | None = None,
    ) -> Tile:
        """The layer's second half, of what `convolved` gave: demodulated, with noise and bias, activated.

        `window` is the one that `convolved` was given. The rest of its filter is here, where what comes next computes
        it as it reads it.
        """
        if window is not None and self.up is not None:
            y = y.columns(window, partial(filter_window, y.values, 2, taps=self.up, size=window[1]))
        values = _scaled(y.values, demodulation(kernel.energy, style))
        if self.use_noise and noise != "none":
            values = values + self._noise(y, noise, key) * self.noise_strength[...]
        values = values + jnp.broadcast_to(self.bias[...], values.shape)
        limit = None if self.clamp is None else self.clamp * gain
        return y.with_values(leaky_relu(values, LRELU_GAIN * gain, limit).astype(y.values.dtype))

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
        scaled = _scaled(x.values, style * self.gain).astype(x.values.dtype)
        y = convolve_valid(scaled, self.weight[...]).astype(jnp.float32)
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
