"""Drag editing of StyleGAN2 and BigGAN images, compiled.

The public names are imported on first use, so that `dragspace --help` does not wait for JAX.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragspace_jax import batch, transfer
    from dragspace_jax.analysis.channels import local_channels
    from dragspace_jax.analysis.directions import Directions, read_directions
    from dragspace_jax.analysis.moves import edit
    from dragspace_jax.analysis.regional import lowrank
    from dragspace_jax.analysis.styles import channel_space, style_statistics
    from dragspace_jax.biggan import BigGAN, BigGANLatents
    from dragspace_jax.checkpoint import load, load_model
    from dragspace_jax.compilation_cache import enable_compilation_cache
    from dragspace_jax.critters.segments import CritterRegions, segment_region
    from dragspace_jax.drag import DragResult, DragSettings, EditRequest, Method, Outcome, drag_many, drag_one
    from dragspace_jax.drag.recipes import Recipe, recipe
    from dragspace_jax.drag.region import box_region
    from dragspace_jax.errors import DragspaceError
    from dragspace_jax.images import generate, render
    from dragspace_jax.inputs import seed_latents, start_latents
    from dragspace_jax.placement import Devices, devices
    from dragspace_jax.spaces import (
        PCA,
        Displacement,
        LowRank,
        RegionSpace,
        W,
        WPlus,
        Z,
        fit_displacements,
        fit_pca,
        load_space,
        lowrank_space,
        save_space,
    )
    from dragspace_jax.stylegan2 import Latents, seed_to_z

    __version__: str

__all__ = [
    "PCA",
    "BigGAN",
    "BigGANLatents",
    "CritterRegions",
    "Devices",
    "Directions",
    "Displacement",
    "DragResult",
    "DragSettings",
    "DragspaceError",
    "EditRequest",
    "Latents",
    "LowRank",
    "Method",
    "Outcome",
    "Recipe",
    "RegionSpace",
    "W",
    "WPlus",
    "Z",
    "__version__",
    "batch",
    "box_region",
    "channel_space",
    "devices",
    "drag_many",
    "drag_one",
    "edit",
    "enable_compilation_cache",
    "fit_displacements",
    "fit_pca",
    "generate",
    "load",
    "load_model",
    "load_space",
    "local_channels",
    "lowrank",
    "lowrank_space",
    "read_directions",
    "recipe",
    "render",
    "save_space",
    "seed_latents",
    "seed_to_z",
    "segment_region",
    "start_latents",
    "style_statistics",
    "transfer",
]

_PACKAGES = ("batch", "transfer")
_MODULES = (
    "errors",
    "checkpoint",
    "biggan",
    "compilation_cache",
    "analysis.moves",  # before `drag`, which has a module called `edit`
    "drag",
    "drag.recipes",
    "drag.region",
    "spaces",
    "stylegan2",
    "inputs",
    "placement",
    "images",
    "critters.segments",
    "analysis.styles",
    "analysis.channels",
    "analysis.regional",
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dragspace-jax")
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in __all__:
        for module in _MODULES:
            found = getattr(importlib.import_module(f"{__name__}.{module}"), name, None)
            if found is not None and not isinstance(found, ModuleType):  # a file of the same name
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
