"""The mapping network: z and a label to W+.

Source: StyleGAN (arXiv 1812.04948), section 2 and appendix B (truncation); labels as in arXiv 2006.06676, appendix D.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Float32

from dragspace_jax.networks.parameters import Buffer
from dragspace_jax.stylegan2.layers import Dense


def normalise_second_moment(x: Float32[Array, "B D"]) -> Float32[Array, "B D"]:
    """Scale x to unit mean square along D."""
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), 1, keepdims=True) + 1e-8)


class Mapping(nnx.Module):
    """Dense layers after a normalised z and a normalised embedding of the label; either may be absent.

    The discriminator uses it without z and without broadcasting, to map its label.
    """

    def __init__(
        self,
        *,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        num_ws: int | None,
        layers: int,
        features: int | None,
        embed_features: int | None,
        lr_multiplier: float,
        rngs: nnx.Rngs,
    ):
        hidden = w_dim if features is None else features
        embed = 0 if c_dim == 0 else (w_dim if embed_features is None else embed_features)
        if c_dim > 0:
            self.embed = Dense(c_dim, embed, rngs=rngs)
        widths = [z_dim + embed, *[hidden] * (layers - 1), w_dim]
        for i in range(layers):
            layer = Dense(widths[i], widths[i + 1], rngs=rngs, lr_multiplier=lr_multiplier, activate=True)
            setattr(self, f"fc{i}", layer)
        if num_ws is not None:
            self.w_avg = Buffer(jnp.zeros((w_dim,), jnp.float32))
        self.z_dim, self.c_dim, self.num_ws, self.layers = z_dim, c_dim, num_ws, layers

    def trunk(self, z: Float[Array, "B Z"] | None, c: Float[Array, "B c_dim"] | None) -> Float32[Array, "B D"]:
        """z and label c to w, before truncation and broadcasting.

        Raises:
          ValueError: z or the label is missing or of the wrong shape.
        """
        parts = []
        if self.z_dim > 0:
            if z is None or z.ndim != 2 or z.shape[1] != self.z_dim:
                raise ValueError(f"z has shape {None if z is None else z.shape}; the model takes [B, {self.z_dim}]")
            parts.append(normalise_second_moment(z.astype(jnp.float32)))
        if self.c_dim > 0:
            if c is None or c.ndim != 2 or c.shape[1] != self.c_dim:
                raise ValueError(
                    f"the label has shape {None if c is None else c.shape}; the model takes [B, {self.c_dim}]"
                )
            parts.append(normalise_second_moment(self.embed(c.astype(jnp.float32))))
        x = jnp.concatenate(parts, 1)
        for i in range(self.layers):
            x = getattr(self, f"fc{i}")(x)
        return x

    def __call__(
        self,
        z: Float[Array, "B Z"],
        c: Float[Array, "B c_dim"] | None = None,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
    ) -> Float32[Array, "B L D"]:
        """z, and the label c of a model with classes, to ws.

        Truncation draws the first `cutoff` layers (None: all) towards w_avg: w_avg + psi · (w − w_avg).
        """
        if self.num_ws is None:
            raise ValueError("this mapping network gives one vector; call trunk")
        w = self.trunk(z, c)
        ws = jnp.broadcast_to(w[:, None], (w.shape[0], self.num_ws, w.shape[1]))
        if psi == 1.0:
            return ws
        w_avg = jnp.broadcast_to(self.w_avg[...], ws.shape)
        truncated = w_avg + psi * (ws - w_avg)
        layer = jnp.arange(self.num_ws)[None, :, None]
        return jnp.where(layer < (self.num_ws if cutoff is None else cutoff), truncated, ws)
