"""What can be said of a space: its name, layers, components, a file; stated once for lines, commands and tables."""

from __future__ import annotations

import dataclasses
from typing import Literal

from dragspace_jax.analysis.lowrank import DIRECTIONS
from dragspace_jax.spaces.wplus import DEFAULT_LAYERS

SpaceName = Literal["w+", "w", "pca", "lowrank", "channels", "z"]
OptionKind = Literal["choice", "whole", "number", "flag", "file", "text"]
SPACES: tuple[SpaceName, ...] = ("w+", "w", "pca", "lowrank", "channels", "z")
DEFAULT_COMPONENTS, WHITENED_COMPONENTS = 96, 64
"""Of a basis that is fitted, at most; in standard deviations the last ones would count as much as the first."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOption:
    """What there is to know of a field of `SpaceOptions`.

    Attributes:
      help: one sentence, without the default.
      kind: what a value is.
      default: what an omitted value means, in words.
      choices: the texts it may be, if it is a choice.
    """

    help: str
    kind: OptionKind
    default: str
    choices: tuple[str, ...] = ()


def _about(help: str, kind: OptionKind, default: str) -> dict[str, SpaceOption]:
    choices = SPACES if kind == "choice" else ()
    return {"option": SpaceOption(help=help, kind=kind, default=default, choices=choices)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """What is said of a space; each field's metadata says what None means. `make_space` checks it."""

    space: SpaceName | None = dataclasses.field(
        default=None,
        metadata=_about(
            "What moves: a latent of each layer (w+), one for all of them (w), principal components of W (pca), "
            "directions of the region that is named, measured on the image (lowrank), style channels (channels), or "
            "the z of a BigGAN (z).",
            "choice",
            "pca; published: w+; or what the basis is; channels if there are any; of a BigGAN z",
        ),
    )
    layers: int | None = dataclasses.field(
        default=None,
        metadata=_about("Layers of W+ that move, from the first.", "whole", f"{DEFAULT_LAYERS}, or as the basis says"),
    )
    components: int | None = dataclasses.field(
        default=None,
        metadata=_about(
            "Components of the basis.",
            "whole",
            f"those with 1/1000 of the first one's variance, at most {DEFAULT_COMPONENTS}, wholly whitened "
            f"{WHITENED_COMPONENTS}; lowrank: {DIRECTIONS}; or all of a basis from a file",
        ),
    )
    shared: bool | None = dataclasses.field(
        default=None,
        metadata=_about(
            "One set of PCA coordinates for all layers, or one a layer.", "flag", "one a layer, or as the basis says"
        ),
    )
    basis: str | None = dataclasses.field(
        default=None,
        metadata=_about(
            "A file of dragspace fit-pca or lowrank, whose basis to move in.", "file", "fitted once, and kept"
        ),
    )
    whiten: float | None = dataclasses.field(
        default=None,
        metadata=_about(
            "Measure a basis's coordinates, and so the learning rate, in standard deviations to this power: 0 in units "
            "of W, 1 in standard deviations.",
            "number",
            "1; published: 0, or as the basis says",
        ),
    )

    channels: str | None = dataclasses.field(
        default=None,
        metadata=_about(
            "Style channels to move, in their standard deviations: LAYER:INDEX,… or FILE.csv:REGION, those that act on "
            "a region by a table of dragspace channels; of the embedded models REGION alone (ear, eye, mouth, …).",
            "text",
            "none",
        ),
    )

    @property
    def fits(self) -> bool:
        """Whether the space is fitted to the model, so that the class of its samples counts."""
        return self.space in ("pca", "lowrank", "channels") and self.basis is None


SPACE_OPTIONS: dict[str, SpaceOption] = {
    field.name: field.metadata["option"] for field in dataclasses.fields(SpaceOptions)
}
"""{field: what there is to know of it}, in the order of the fields."""
