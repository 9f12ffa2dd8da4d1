"""Recipes of a drag: what the options mean that nobody has given.

`paced` is what the study of DragGANSpace found best (docs/study): whitened principal components of W, less momentum,
and a learning rate that is turned to keep a pace. `published` is the loop of DragGAN as its authors run it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragspace_jax.drag import DragSettings

RECIPES = ("paced", "published")
PUBLISHED = DragSettings()
PACED = DragSettings(learning_rate=5e-2, momentum=0.5, pace=10.0)
"""For whitened coordinates."""
_PLAIN_RATE = 2e-3  # in units of W


def completed(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options with those that are None filled in by their recipe: space, whiten, lr, momentum, pace."""
    filled = dict(chosen)

    def default(name: str, value: Any) -> None:
        filled[name] = value if filled[name] is None else filled[name]

    paced = chosen["recipe"] == "paced"
    if filled["basis"] is None:
        default("space", "pca" if paced else "w+")
    fitted = filled["basis"] is not None or filled["space"] in ("pca", "displacement")
    if paced and fitted:
        default("whiten", 1.0)
    power = (filled["whiten"] or 0.0) if fitted else 0.0
    power = min(max(power, 0.0), 1.0)  # out of range it is refused where the space is made
    default("lr", PACED.learning_rate**power * _PLAIN_RATE ** (1.0 - power) if paced else PUBLISHED.learning_rate)
    recipe = PACED if paced else PUBLISHED
    default("momentum", recipe.momentum)
    default("pace", recipe.pace)
    return filled
