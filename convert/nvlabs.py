"""NVlabs pickles (docs/formats.md#nvlabs-pickles): stylegan2-ada-pytorch, and StyleGAN2 models of stylegan3.

Both repositories use the same modules with different defaults, so every setting is read from the attributes of the
module it belongs to; the arguments the network was made with only have to agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from dragspace_jax.convert.check import ConvertError, Found, FoundNetwork, Parameter, closed, shown
from dragspace_jax.convert.inert import Instance
from dragspace_jax.convert.names import from_nvlabs
from dragspace_jax.convert.settings import Taps, clamp_value, filter_taps, one_filter, one_value, require
from dragspace_jax.convert.shapes import WHOLE_BATCH, discriminator_config, generator_config
from dragspace_jax.convert.stored import StoredTensor
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig, channel_table

_DEEPEST = 8
_LINEAR = ("affine", "embed", "skip", "out")
# Where a network's filter works. The other layers have the buffer too, always with the default filter, unused.
_GENERATOR_FILTERS = r"synthesis\.b\d+(\.conv0|\.skip)?"
_DISCRIMINATOR_FILTERS = r"b\d+(\.conv1|\.skip)?"
_STYLEGAN3 = re.compile(r"synthesis\.(input\.|L\d+_\d+_\d+\.)")


def read_pickle(
    networks: Mapping[str, Any], with_discriminator: bool
) -> tuple[FoundNetwork[GeneratorConfig], FoundNetwork[DiscriminatorConfig] | None]:
    """`G_ema`, and `D` if wanted. Raises ConvertError if one is missing or cannot be converted."""
    generator = _Modules(networks["G_ema"], "G_ema").generator()
    if not with_discriminator:
        return generator, None
    if not isinstance(networks.get("D"), Instance):
        raise ConvertError("there is no discriminator in this file: convert it without --with-discriminator")
    return generator, _Modules(networks["D"], "D").discriminator()


class _Modules:
    """A network's modules laid flat: attributes by path, arrays by dotted name."""

    def __init__(self, network: object, label: str) -> None:
        if not isinstance(network, Instance):
            raise ConvertError(f"{label} is a {type(network).__name__}, not a network")
        self.root: dict[str, Any] = network.state
        self.attributes: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, StoredTensor] = {}
        self._walk(network, "", 0)

    def _walk(self, module: Instance, path: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise ConvertError(f"the modules at {path} are nested too deeply")
        if path in self.attributes:
            raise ConvertError(f"two modules have the path {path}")
        self.attributes[path] = module.state
        for kind in ("_parameters", "_buffers"):
            for name, value in _dict(module.state.get(kind), f"{path}.{kind}").items():
                if _join(path, name) in self.arrays:
                    raise ConvertError(f"{_join(path, name)} is there twice")
                if isinstance(value, StoredTensor):
                    self.arrays[_join(path, name)] = value
                elif value is not None:
                    raise ConvertError(f"{_join(path, name)} is a {type(value).__name__}, not a tensor")
        for name, child in _dict(module.state.get("_modules"), f"{path}._modules").items():
            if isinstance(child, Instance):
                self._walk(child, _join(path, name), depth + 1)
            elif child is not None:
                raise ConvertError(f"{_join(path, name)} is a {type(child).__name__}, not a module")

    def generator(self) -> FoundNetwork[GeneratorConfig]:
        """Raises ConvertError if this is no StyleGAN2 generator that we support."""
        if any(_STYLEGAN3.match(name) for name in self.arrays):
            raise ConvertError("this is a StyleGAN3 generator (it has synthesis.input); only StyleGAN2 is supported")
        found, taps = self._parameters(_GENERATOR_FILTERS)
        mapping, synthesis = self.attributes.get("mapping", {}), self.attributes.get("synthesis", {})
        stated = {
            **_stated(self.root, {"img_resolution": "resolution", "img_channels": "img_channels"}),
            **_stated(self.root, {"z_dim": "z_dim", "c_dim": "c_dim", "w_dim": "w_dim"}),
            **_stated(synthesis, {"img_resolution": "resolution", "img_channels": "img_channels"}),
            **_stated(mapping, {"num_layers": "mapping_layers"}),
        }
        use_noise = self._shared("use_noise", r".*\.conv[01]")
        config = generator_config(
            found,
            {
                **stated,
                **self._common(taps, r"synthesis\.b\d+"),
                **({} if use_noise is None else {"use_noise": use_noise}),
            },
        )
        self._confirm(config, "synthesis_kwargs")
        return closed(config, found)

    def discriminator(self) -> FoundNetwork[DiscriminatorConfig]:
        """Raises ConvertError if this is no StyleGAN2 discriminator that we support."""
        found, taps = self._parameters(_DISCRIMINATOR_FILTERS)
        epilogue, deviation = self.attributes.get("b4", {}), self.attributes.get("b4.mbstd", {})
        stated = _stated(
            self.root, {"img_resolution": "resolution", "img_channels": "img_channels", "c_dim": "c_dim"}
        ) | _stated(deviation, {"num_channels": "mbstd_num_channels"})
        if stated.get("c_dim"):
            stated |= _stated(epilogue, {"cmap_dim": "cmap_dim"})
            stated |= _stated(self.attributes.get("mapping", {}), {"num_layers": "mapping_layers"})
        else:
            stated["mapping_layers"] = 0
        if "group_size" in deviation:
            stated["mbstd_group_size"] = WHOLE_BATCH if deviation["group_size"] is None else deviation["group_size"]
        config = discriminator_config(found, {**stated, **self._common(taps, r"b\d+")})
        self._confirm(config, "block_kwargs")
        return closed(config, found)

    def _parameters(self, filtering: str) -> tuple[Found, Taps]:
        """All arrays in our layout but the resampling filters, and the filter that the modules `filtering` share."""
        found, filters = {}, {}
        for name, stored in self.arrays.items():
            path, _, last = name.rpartition(".")
            if last == "resample_filter":
                if not re.fullmatch(filtering, path):
                    continue
                if stored.shape != (4, 4):
                    raise ConvertError(f"unsupported resample filter at {name}: four separable taps are needed")
                filters[name] = filter_taps(stored.read(), name)
            else:
                found[name] = Parameter.of(name, stored, partial(_layout, name))
        return found, one_filter(filters)

    def _shared(self, setting: str, paths: str) -> Any:
        """The value of an attribute in all modules whose path matches; None if none has it."""
        values = {
            path: attributes[setting]
            for path, attributes in self.attributes.items()
            if setting in attributes and re.fullmatch(paths, path)
        }
        return one_value(values, setting, None)

    def _common(self, taps: Taps, blocks: str) -> dict[str, Any]:
        """Settings that both networks have, after a check of those that must be as published."""
        multipliers = {}
        for path, attributes in self.attributes.items():
            last = path.rsplit(".", 1)[-1]
            require(attributes, {"activation": "linear" if last in _LINEAR else "lrelu"}, path)
            if re.fullmatch(r"mapping\.fc\d+", path):
                multipliers |= {path: attributes["bias_gain"]} if "bias_gain" in attributes else {}
            else:
                require(attributes, {"bias_gain": 1}, path)
        architecture = self._shared("architecture", blocks)
        multiplier = one_value(multipliers, "the learning rate multiplier (bias_gain)", None)
        return {
            "conv_clamp": clamp_value(self._shared("conv_clamp", r"(?!.*\.skip$).*")),
            "resample_filter": taps,
            **({} if architecture is None else {"architecture": architecture}),
            **({} if multiplier is None else {"mapping_lr_multiplier": multiplier}),
        }

    def _confirm(self, config: GeneratorConfig | DiscriminatorConfig, nested: str) -> None:
        """Raises ConvertError if the network was made with other arguments than its modules show."""
        arguments = _dict(self.root.get("_init_kwargs"), "_init_kwargs")
        arguments = {**arguments, **_dict(arguments.get(nested), nested)}
        modules = {**config.to_json(), "img_resolution": config.resolution}
        names = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "architecture", "conv_clamp", "use_noise")
        expected = {name: modules[name] for name in names if name in modules}
        for name, value in expected.items():
            if name in arguments and arguments[name] != value:
                raise ConvertError(f"made with {name}={shown(arguments[name])}, but its modules have {shown(value)}")
        if isinstance(arguments.get("channel_base"), int) and isinstance(arguments.get("channel_max"), int):
            table = channel_table(config.resolution, arguments["channel_base"], arguments["channel_max"])
            if table != config.channels:
                raise ConvertError(f"made for channels {list(table)}, but its modules have {list(config.channels)}")


def _layout(name: str, array: np.ndarray) -> np.ndarray:
    return from_nvlabs(name, array)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _dict(value: object, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConvertError(f"{where} is not a dict of names")
    return value


def _stated(attributes: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """{our name: value} of those attributes that are there."""
    return {ours: attributes[theirs] for theirs, ours in names.items() if theirs in attributes}
