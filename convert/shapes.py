"""What the shapes of a file's parameters say about its architecture.

Where a file states a setting, the statement counts and the parameters are checked against it; what no format
states, or only some, is read off here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from dragspace_jax.convert.check import Config, ConvertError, Found, shown
from dragspace_jax.stylegan2.config import ConfigError, DiscriminatorConfig, GeneratorConfig, block_resolutions

# Where the channels of the block at R show: (end of a name, axis). The most frequent number is taken, so that one
# misshapen parameter is reported as such and does not bend the architecture.
_GENERATOR_CHANNELS = (
    ("conv1.weight", 2),
    ("conv1.weight", 3),
    ("conv1.bias", 0),
    ("conv1.affine.weight", 1),
    ("conv0.weight", 3),
    ("conv0.bias", 0),
    ("torgb.weight", 2),
)
_DISCRIMINATOR_CHANNELS = (
    ("conv0.weight", 2),
    ("conv0.weight", 3),
    ("conv0.bias", 0),
    ("conv1.weight", 2),
    ("fromrgb.weight", 3),
    ("conv.weight", 3),
    ("conv.bias", 0),
    ("fc.weight", 1),
    ("out.weight", 0),
)

WHOLE_BATCH = 2**30  # a group size of None: the minibatch standard deviation of the whole batch
_LARGEST = {
    "z_dim": 2**16,
    "c_dim": 2**20,
    "w_dim": 2**16,
    "cmap_dim": 2**16,
    "mapping_layers": 100,
    "mbstd_num_channels": 2**10,
    "mbstd_group_size": WHOLE_BATCH,
}


def _size(found: Found, name: str, axis: int) -> int | None:
    shape = found[name].shape if name in found else ()
    return shape[axis] if axis < len(shape) else None


def _most_frequent(sizes: Iterable[int | None], what: str) -> int:
    counted = Counter(size for size in sizes if size is not None)
    if not counted:
        raise ConvertError(f"the parameters that show {what} are missing")
    return counted.most_common(1)[0][0]


def _channels(found: Found, prefix: str, places: Iterable[tuple[str, int]], resolution: int) -> tuple[int, ...]:
    places = list(places)
    return tuple(
        _most_frequent(
            (_size(found, f"{prefix}b{r}.{end}", axis) for end, axis in places),
            f"the channels at {r} px ({prefix}b{r}.*)",
        )
        for r in block_resolutions(resolution)
    )


def _resolution(found: Found, prefix: str, stated: int | None) -> int:
    blocks = [match[1] for name in found if (match := re.match(re.escape(prefix) + r"b(\d{1,4})\.", name))]
    resolution = max((int(block) for block in blocks), default=0) if stated is None else stated
    if type(resolution) is not int or resolution not in block_resolutions(1024)[1:]:
        raise ConvertError(
            f"the resolution is {shown(resolution)}; a StyleGAN2 of 8 to 1024 px (a power of two) is needed"
        )
    return resolution


def _mapping(found: Found, w_dim: int) -> dict[str, Any]:
    """Settings of a mapping network, None where a width is w_dim."""
    indices = [int(match[1]) for name in found if (match := re.match(r"mapping\.fc(\d{1,3})\.", name))]
    layers = max(indices, default=-1) + 1
    hidden = _size(found, "mapping.fc0.weight", 1) if layers > 1 else None
    embed = _size(found, "mapping.embed.weight", 1)
    return {
        "c_dim": _size(found, "mapping.embed.weight", 0) or 0,
        "mapping_layers": layers,
        "mapping_features": None if hidden == w_dim else hidden,
        "embed_features": None if embed == w_dim else embed,
    }


def _architecture(found: Found, smallest_image: str) -> str:
    """`skip` networks have a layer for the image of 4 px, `resnet` ones skip convolutions."""
    if any(".skip." in name for name in found):
        return "resnet"
    return "skip" if any(name.startswith(f"{smallest_image}.") for name in found) else "orig"


def generator_config(found: Found, stated: Mapping[str, Any]) -> GeneratorConfig:
    """The architecture: what is `stated` (arguments of GeneratorConfig), and what else the shapes show.

    Raises:
      ConvertError: too much is missing to tell, or a statement is out of range.
    """
    return _config(GeneratorConfig, {**_generator_settings(found, stated.get("resolution")), **stated})


def discriminator_config(found: Found, stated: Mapping[str, Any]) -> DiscriminatorConfig:
    """Likewise for a discriminator. Raises ConvertError as `generator_config` does."""
    return _config(DiscriminatorConfig, {**_discriminator_settings(found, stated.get("resolution")), **stated})


def _config(kind: type[Config], settings: dict[str, Any]) -> Config:
    for name, most in _LARGEST.items():
        value = settings.get(name, 0)
        if name == "cmap_dim" and value is None:
            continue
        if type(value) is not int or not 0 <= value <= most:
            raise ConvertError(
                f"unsupported architecture: {name} is {shown(value)}; a whole number up to {most} is needed"
            )
    if type(settings["img_channels"]) is not int or settings["img_channels"] != 3:
        raise ConvertError(f"unsupported images of {shown(settings['img_channels'])} channels: only RGB is supported")
    multiplier = settings.get("mapping_lr_multiplier", 1.0)
    if isinstance(multiplier, bool) or not isinstance(multiplier, int | float) or not 0 < multiplier < 1e9:
        raise ConvertError(f"unsupported architecture: the mapping's learning rate multiplier is {shown(multiplier)}")
    if not isinstance(settings["architecture"], str) or not isinstance(settings.get("use_noise", True), bool):
        raise ConvertError("unsupported architecture: a setting (architecture or use_noise) is of the wrong type")
    try:
        return kind(**settings)
    except ConfigError as error:
        raise ConvertError(f"unsupported architecture: {error}") from error


def _generator_settings(found: Found, stated: int | None) -> dict[str, Any]:
    resolution = _resolution(found, "synthesis.", stated)
    w_dim = _most_frequent((_size(found, n, 0) for n in found if n.endswith("affine.weight")), "the width of w")
    mapping = _mapping(found, w_dim)
    embed = (mapping["embed_features"] or w_dim) if mapping["c_dim"] else 0
    first = _size(found, "mapping.fc0.weight", 0)
    if first is None:
        raise ConvertError("the mapping network is missing (mapping.fc0.weight)")
    return {
        "resolution": resolution,
        "channels": _channels(found, "synthesis.", _GENERATOR_CHANNELS, resolution),
        "img_channels": _most_frequent(
            (_size(found, n, 0) for n in found if n.endswith("torgb.bias")), "the image's channels (torgb.bias)"
        ),
        "z_dim": first - embed,
        "w_dim": w_dim,
        "architecture": _architecture(found, "synthesis.b4.torgb"),
        "use_noise": any(name.endswith("noise_strength") for name in found),
        **mapping,
    }


def _discriminator_settings(found: Found, stated: int | None) -> dict[str, Any]:
    resolution = _resolution(found, "", stated)
    channels = _channels(found, "", _DISCRIMINATOR_CHANNELS, resolution)
    cmap_dim = _size(found, "b4.out.weight", 1)
    mapping = _mapping(found, channels[0] if cmap_dim is None else cmap_dim)
    return {
        "resolution": resolution,
        "channels": channels,
        "img_channels": _most_frequent(
            (_size(found, n, 2) for n in found if n.endswith("fromrgb.weight")), "the image's channels (fromrgb.weight)"
        ),
        "architecture": _architecture(found, "b4.fromrgb"),
        "cmap_dim": cmap_dim if mapping["c_dim"] else None,
        "mbstd_num_channels": max((_size(found, "b4.conv.weight", 2) or channels[0]) - channels[0], 0),
        **mapping,
    }
