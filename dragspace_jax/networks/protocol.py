"""What a drag and its spaces ask of a network; StyleGAN2's answers live with StyleGAN2.

A `Model` is what a user loads. `prepare` makes it ready for edits of one kind, a `Network`: a pytree that goes through
`jax.jit`, whose static parts say where the features lie. A latent is a pytree of the family's own (StyleGAN2:
`Latents`), and so are its styles; the loop only hands them on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Float32, Int32

from dragspace_jax.networks.grid import Grid
from dragspace_jax.networks.patches import PatchReader

Styles = Mapping[str, Float[Array, "B _"]]
"""Style vectors by the name of the convolution that they modulate, each [B, C]."""


@runtime_checkable
class Network(Protocol):
    """A model made ready for edits of one kind; a pytree."""

    @property
    def grid(self) -> Grid:
        """How the features lie over the image (static)."""
        ...

    @property
    def channels(self) -> int:
        """Of the features (static)."""
        ...

    def styles(self, latents: Any, names: Collection[str] | None = None) -> Styles:
        """Latents, their arrays with a leading B, to styles; `names`: only these."""
        ...

    def image(self, styles: Styles) -> Float32[Array, "B H W C"]:
        """Styles to images, nominally in [-1, 1]."""
        ...

    def preview(self, styles: Styles) -> Float32[Array, "B S S C"]:
        """Styles to small pictures of what the images will be, or to the images where nothing cheaper tells it."""
        ...

    def features(self, styles: Styles, points_yx: Float[Array, "N 2"], image: Int32[Array, " N"]) -> PatchReader:
        """Features of B images near points: at least as far around each as the network was prepared for.

        Args:
          styles: of B images.
          points_yx: in pixels.
          image: which of the B images each point is on.
        """
        ...


class Narrowing(Network, Protocol):
    """A network whose windows can be narrowed: it fills in `PatchReader.kept`."""

    def nearer(
        self, reader: PatchReader, styles: Styles, points_yx: Float[Array, "N 2"], image: Int32[Array, " N"], reach: int
    ) -> PatchReader:
        """See the function `nearer`."""
        ...


def nearer(
    network: Any,
    reader: PatchReader,
    styles: Styles,
    points_yx: Float[Array, "N 2"],
    image: Int32[Array, " N"],
    reach: int,
) -> PatchReader:
    """The same features nearer to points, for those who differentiate them: the way back is then as narrow.

    Args:
      network: that computed them; one that keeps nothing of it gives them as they are.
      reader: `network.features` at the same styles, of more around these points.
      styles, image: as there.
      points_yx: in pixels.
      reach: how far around them features are read, in pixels.
    """
    return reader if reader.kept is None else network.nearer(reader, styles, points_yx, image, reach)


@runtime_checkable
class Config(Protocol):
    """What is known of a model before it is made ready."""

    @property
    def resolution(self) -> int:
        """Side of the image in pixels."""
        ...

    @property
    def block_resolutions(self) -> tuple[int, ...]:
        """Sides of the feature maps that a drag may follow."""
        ...

    @property
    def has_windows(self) -> bool:
        """Whether features can be had near points alone, without the rest of their map."""
        ...


@runtime_checkable
class Model(Protocol):
    """What a user loads."""

    @property
    def config(self) -> Any:
        """A `Config`, and whatever else the family knows."""
        ...

    def check_latents(self, latents: Any) -> Any:
        """One image's latents as the family's pytree of float32 NumPy arrays.

        Raises:
          DragspaceError: they do not fit the model or are not finite.
        """
        ...

    def prepare(
        self, *, block: int, reach: int, handles: float, windows: bool, noise: str, dtype: str, platform: str
    ) -> Network:
        """Make the model ready; traceable.

        Args:
          block: resolution of the block whose features are wanted.
          reach: how far around a point they will be read, in pixels.
          handles: how many points an image has, or has on average.
          windows: compute them near the points only, where the family can; else the whole map.
          noise: `const` or `none`.
          dtype: of the synthesis.
          platform: that it will run on: `cpu`, `gpu`, `tpu`.
        """
        ...
