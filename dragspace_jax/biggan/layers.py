"""The generator's layers: dense and plain convolutions, batch norm by condition and truncation, self-attention.

Source: BigGAN (arXiv 1809.11096), appendix B; self-attention as in arXiv 1805.08318, section 3, with keys and values
pooled. Spectral norms are folded into the weights when a model is converted, so nothing of them is left here. Dense
layers and statistics run at highest precision, since everything hangs on them and they cost nothing; convolutions
follow `jax.default_matmul_precision`. What lies between two convolutions is float32 whatever their type.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32

from dragspace_jax.networks.convolution import convolve_valid
from dragspace_jax.networks.parameters import Buffer

_HIGHEST = jax.lax.Precision.HIGHEST


class Dense(nnx.Module):
    """A fully connected layer."""

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs, bias: bool = True):
        self.weight = nnx.Param(rngs.params.normal((in_features, out_features)) / math.sqrt(in_features))
        if bias:
            self.bias = nnx.Param(jnp.zeros((out_features,), jnp.float32))
        self.has_bias = bias

    def __call__(self, x: Float[Array, "B I"]) -> Float[Array, "B O"]:
        y = jnp.matmul(x, self.weight[...], precision=_HIGHEST)
        return y + jnp.broadcast_to(self.bias[...], y.shape) if self.has_bias else y


class Convolution(nnx.Module):
    """A plain convolution that keeps the size: zeros stand around the map."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, rngs: nnx.Rngs, bias: bool = True):
        shape = (kernel, kernel, in_channels, out_channels)
        self.weight = nnx.Param(rngs.params.normal(shape) / math.sqrt(in_channels * kernel * kernel))
        if bias:
            self.bias = nnx.Param(jnp.zeros((out_channels,), jnp.float32))
        self.has_bias = bias
        self.margin = kernel // 2

    def __call__(self, x: Float[Array, "B h w I"], platform: str | None = None) -> Float[Array, "B h w O"]:
        """The convolution, in the type of x; `platform` is what the program is compiled for, if that is known."""
        around = (self.margin, self.margin)
        padded = jnp.pad(x, ((0, 0), around, around, (0, 0))) if self.margin else x
        y = convolve_valid(padded, self.weight[...], platform=platform)
        return y + jnp.broadcast_to(self.bias[...].astype(y.dtype), y.shape) if self.has_bias else y


class Norm(nnx.Module):
    """Batch norm by stored statistics, a set for every truncation; without gains and offsets of its own."""

    def __init__(self, channels: int, n_stats: int, eps: float):
        self.running_means = Buffer(jnp.zeros((n_stats, channels), jnp.float32))
        self.running_vars = Buffer(jnp.ones((n_stats, channels), jnp.float32))
        self.eps = eps

    def applied(
        self,
        x: Float[Array, "B h w C"],
        statistics: Float32[Array, "B S"],
        gain: Float32[Array, "B C"],
        offset: Float32[Array, "B C"],
    ) -> Float32[Array, "B h w C"]:
        """x normalised by the statistics [S] of each image, times its gain, plus its offset."""
        mean = jnp.matmul(statistics, self.running_means[...], precision=_HIGHEST)
        variance = jnp.matmul(statistics, self.running_vars[...], precision=_HIGHEST)
        scale = gain * jax.lax.rsqrt(variance + self.eps)
        shift = offset - mean * scale
        return x.astype(jnp.float32) * scale[:, None, None, :] + shift[:, None, None, :]


class ConditionalNorm(Norm):
    """Batch norm whose gain and offset are linear in the condition: z and the class."""

    def __init__(self, channels: int, condition: int, n_stats: int, eps: float, *, rngs: nnx.Rngs):
        super().__init__(channels, n_stats, eps)
        self.scale = Dense(condition, channels, rngs=rngs, bias=False)
        self.offset = Dense(condition, channels, rngs=rngs, bias=False)

    def __call__(
        self, x: Float[Array, "B h w C"], condition: Float32[Array, "B D"], statistics: Float32[Array, "B S"]
    ) -> Float32[Array, "B h w C"]:
        return self.applied(x, statistics, 1.0 + self.scale(condition), self.offset(condition))


class PlainNorm(Norm):
    """Batch norm with one gain and offset for all images."""

    def __init__(self, channels: int, n_stats: int, eps: float):
        super().__init__(channels, n_stats, eps)
        self.weight = nnx.Param(jnp.ones((channels,), jnp.float32))
        self.bias = nnx.Param(jnp.zeros((channels,), jnp.float32))

    def __call__(self, x: Float[Array, "B h w C"], statistics: Float32[Array, "B S"]) -> Float32[Array, "B h w C"]:
        shape = (x.shape[0], x.shape[3])
        gain, offset = (jnp.broadcast_to(each[...], shape) for each in (self.weight, self.bias))
        return self.applied(x, statistics, gain, offset)


class SelfAttention(nnx.Module):
    """Every position adds what it finds of the others, whose keys and values are pooled 2 × 2."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.snconv1x1_theta = Convolution(channels, channels // 8, 1, rngs=rngs, bias=False)
        self.snconv1x1_phi = Convolution(channels, channels // 8, 1, rngs=rngs, bias=False)
        self.snconv1x1_g = Convolution(channels, channels // 2, 1, rngs=rngs, bias=False)
        self.snconv1x1_o_conv = Convolution(channels // 2, channels, 1, rngs=rngs, bias=False)
        self.gamma = nnx.Param(jnp.zeros((1,), jnp.float32))

    def __call__(self, x: Float[Array, "B h w C"], platform: str | None = None) -> Float[Array, "B h w C"]:
        """The map with the attention, in the type of x; both sides are even."""
        batch, height, width, _ = x.shape
        queries = self.snconv1x1_theta(x, platform).reshape(batch, height * width, -1)
        keys = pooled(self.snconv1x1_phi(x, platform)).reshape(batch, height * width // 4, -1)
        values = pooled(self.snconv1x1_g(x, platform)).reshape(batch, height * width // 4, -1)
        scores = jnp.einsum("bqc,bkc->bqk", queries, keys, preferred_element_type=jnp.float32)
        shares = jax.nn.softmax(scores, axis=-1).astype(x.dtype)
        found = jnp.einsum("bqk,bkc->bqc", shares, values).reshape(batch, height, width, -1)
        return x + self.gamma[...].astype(x.dtype)[0] * self.snconv1x1_o_conv(found, platform)


def pooled(x: Float[Array, "B h w C"]) -> Float[Array, "B h//2 w//2 C"]:
    """The maxima of 2 × 2 positions."""
    batch, height, width, channels = x.shape
    return jnp.max(x.reshape(batch, height // 2, 2, width // 2, 2, channels), (2, 4))


def enlarged(x: Float[Array, "B h w C"]) -> Float[Array, "B 2*h 2*w C"]:
    """Every position four times: nearest neighbours."""
    batch, height, width, channels = x.shape
    spread = jnp.broadcast_to(x[:, :, None, :, None, :], (batch, height, 2, width, 2, channels))
    return spread.reshape(batch, 2 * height, 2 * width, channels)
