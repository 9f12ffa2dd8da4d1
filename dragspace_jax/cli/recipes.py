"""Recipes of a drag: what the options mean that nobody has given.

`paced` is what came of the study of DragGANSpace (docs/study): principal components of W, little momentum, and steps
as long as a pace asks for. `published` is the loop of DragGAN as its authors run it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragspace_jax.drag import DragSettings

RECIPES = ("paced", "published")
PUBLISHED = DragSettings()
PACED = DragSettings(learning_rate=5e-3, momentum=0.3, pace=12.0)
"""For components of W as they lie in W."""
_WHITENED_RATE, _FULL_RATE = 8e-2, 3e-3  # in standard deviations; in W and W+


def completed(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options with those that are None filled in by their recipe: space, lr, momentum, pace."""
    filled = dict(chosen)

    def default(name: str, value: Any) -> None:
        filled[name] = value if filled[name] is None else filled[name]

    paced = chosen["recipe"] == "paced"
    if filled["basis"] is None:
        default("space", "pca" if paced else "w+")
    fitted = filled["basis"] is not None or filled["space"] in ("pca", "displacement")
    default("lr", _paced_rate(filled["whiten"] or 0.0, fitted=fitted) if paced else PUBLISHED.learning_rate)
    recipe = PACED if paced else PUBLISHED
    default("momentum", recipe.momentum)
    # A pace would undo what these two ask for.
    default("pace", 0.0 if filled["half_life"] or filled["slow_down"] else recipe.pace)
    return filled


def _paced_rate(power: float, *, fitted: bool) -> float:
    """The learning rate to begin with; between W's units and standard deviations the rates go over by the power."""
    if not fitted:
        return _FULL_RATE
    power = power if 0.0 <= power <= 1.0 else 0.0  # it is refused where the space is made
    return _WHITENED_RATE**power * PACED.learning_rate ** (1.0 - power)
