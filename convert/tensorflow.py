"""TensorFlow pickles of NVlabs/stylegan2 and stylegan2-ada (docs/formats.md#tensorflow-pickles), without TensorFlow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from dragspace_jax.convert.check import ConvertError, Found, FoundNetwork, Parameter, add, closed, listed, shown
from dragspace_jax.convert.inert import Instance
from dragspace_jax.convert.settings import clamp_value, filter_taps, require, require_known
from dragspace_jax.convert.shapes import WHOLE_BATCH, discriminator_config, generator_config
from dragspace_jax.convert.stored import StoredArray
from dragspace_jax.convert.tensorflow_names import Layout, discriminator_name, generator_name
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig, channel_table

_DEEPEST = 4
_OLDEST_VERSION = 4
_DISCRIMINATOR_LRMUL = 0.1  # the published default where mapping_lrmul is not stated
_REQUIRED = {
    "nonlinearity": "lrelu",
    "mapping_nonlinearity": "lrelu",
    "normalize_latents": True,
    "fmap_const": None,
    "use_wscale": True,
    "use_spectral_norm": False,
    "use_pagan": False,
    "adaptive_dropout": 0,
    "score_max": 1,
}
_READ = frozenset(
    {
        "latent_size",
        "label_size",
        "dlatent_size",
        "resolution",
        "num_channels",
        "fmap_base",
        "fmap_max",
        "conv_clamp",
        "architecture",
        "resample_kernel",
        "use_noise",
        "mapping_layers",
        "mapping_lrmul",
        "mbstd_group_size",
        "mbstd_num_features",
    }
)
# Widths that the shapes show as well, and what matters in training or for speed alone.
_WITHOUT_EFFECT = frozenset(
    {
        "fmap_min",
        "fmap_decay",
        "label_fmaps",
        "mapping_fmaps",
        "num_fp16_res",
        "dtype",
        "fused_modconv",
        "structure",
        "w_avg_beta",
        "dlatent_avg_beta",
        "dlatent_broadcast",
        "truncation_psi",
        "truncation_cutoff",
        "truncation_psi_val",
        "truncation_cutoff_val",
        "style_mixing_prob",
        "conditioning",
        "randomize_noise",
        "is_training",
        "is_validation",
        "return_dlatents",
        "is_template_graph",
        "mapping_func",
        "synthesis_func",
        "func_name",
        "augment_strength",
        "pagan_num",
        "pagan_fade",
        "score_size",
        "freeze_layers",
    }
)
_KNOWN = _READ | _WITHOUT_EFFECT | frozenset(_REQUIRED)


def read_pickle(
    networks: tuple[Instance, Instance, Instance], with_discriminator: bool
) -> tuple[FoundNetwork[GeneratorConfig], FoundNetwork[DiscriminatorConfig] | None]:
    """Gs, and D if wanted, of (G, D, Gs). Raises ConvertError if one cannot be converted."""
    _, discriminator, generator = networks
    return _generator(generator), _discriminator(discriminator) if with_discriminator else None


def _generator(network: Instance) -> FoundNetwork[GeneratorConfig]:
    settings, variables = _settings(network, "Gs"), _variables(network, "", 0)
    if "mapping/LabelConcat/weight" in variables:
        raise ConvertError("unsupported labels: mapping/LabelConcat/weight joins them to z before one normalisation")
    found, unknown = _mapped(variables, generator_name, settings, "ToRGB_lod")
    stated = _stated(settings, {"latent_size": "z_dim", "dlatent_size": "w_dim", "use_noise": "use_noise"})
    config = generator_config(found, {**stated, "mapping_lr_multiplier": settings.get("mapping_lrmul", 0.01)})
    _confirm_channels(settings, config)
    return closed(config, found, unknown)


def _discriminator(network: Instance) -> FoundNetwork[DiscriminatorConfig]:
    settings, variables = _settings(network, "D"), _variables(network, "", 0)
    found, unknown = _mapped(variables, discriminator_name, settings, "FromRGB_lod")
    stated = _stated(settings, {"mbstd_num_features": "mbstd_num_channels"})
    if stated.get("c_dim", 0) == 0:
        stated["mapping_layers"] = 0  # stated for the generator's sake
    group = settings.get("mbstd_group_size", 4)
    stated["mbstd_group_size"] = WHOLE_BATCH if group is None else group
    stated["mapping_lr_multiplier"] = settings.get("mapping_lrmul", _DISCRIMINATOR_LRMUL)
    config = discriminator_config(found, stated)
    _confirm_channels(settings, config)
    return closed(config, found, unknown)


def _settings(network: Instance, label: str) -> dict[str, Any]:
    """The static arguments of a network and its components, checked."""
    version = network.state.get("version")
    if type(version) is not int or version < _OLDEST_VERSION:
        raise ConvertError(
            f"{label} has format version {shown(version)}; StyleGAN2 networks have {_OLDEST_VERSION} or later"
        )
    settings: dict[str, Any] = {}
    for part in (*_components(network).values(), network):
        own = part.state.get("static_kwargs")
        if not isinstance(own, dict) or not all(isinstance(name, str) for name in own):
            raise ConvertError(f"{label} has no settings (static_kwargs)")
        settings |= {name: _plain(value) for name, value in own.items()}
    require_known(settings, _KNOWN, f"{label}'s static_kwargs")
    require(settings, _REQUIRED, f"{label}'s static_kwargs")
    return settings


def _plain(value: Any) -> Any:
    """A NumPy scalar as the Python number it stands for."""
    return value.read().item() if isinstance(value, StoredArray) and value.shape == () else value


def _components(network: Instance) -> dict[str, Instance]:
    components = network.state.get("components", {})
    if not isinstance(components, dict) or not all(isinstance(part, Instance) for part in components.values()):
        raise ConvertError("a network's components are no networks")
    return components


def _variables(network: Instance, path: str, depth: int) -> dict[str, StoredArray]:
    """{name with the components' names in front: array}."""
    pairs = network.state.get("variables")
    if depth > _DEEPEST or not isinstance(pairs, list):
        raise ConvertError(f"the network {path or 'at the root'} has no variables")
    variables: dict[str, StoredArray] = {}
    for item in pairs:
        if not (isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str)):
            raise ConvertError(f"the network {path or 'at the root'} has a variable without a name")
        name, value = item
        if not isinstance(value, StoredArray):
            raise ConvertError(f"variable {path}{name} is a {type(value).__name__}, not an array")
        _add_all(variables, {path + name: value})
    for name, part in _components(network).items():
        _add_all(variables, _variables(part, f"{path}{name}/", depth + 1))
    return variables


def _add_all(variables: dict[str, StoredArray], more: Mapping[str, StoredArray]) -> None:
    twice = variables.keys() & more.keys()
    if twice:
        raise ConvertError(f"variables are there twice: {listed(sorted(twice))}")
    variables |= more


def _mapped(
    variables: Mapping[str, StoredArray],
    our_name: Callable[[str, int], tuple[str, Layout] | None],
    settings: Mapping[str, Any],
    grown: str,
) -> tuple[Found, list[str]]:
    """Parameters by our names, and the variables that stand for nothing.

    `lod` must be 0: the network is fully grown. Then the layers of smaller images (`grown`, but number 0) do nothing.
    """
    found, unknown = {}, []
    resolution = settings.get("resolution")
    resolution = resolution if type(resolution) is int else 0
    for name, stored in variables.items():
        if name in ("lod", "synthesis/lod"):
            if stored.shape != () or stored.read() != 0:
                raise ConvertError(f"variable {name} is not 0: a network that is still growing cannot be converted")
        elif re.match(rf"(synthesis/)?{grown}[1-9]", name):
            continue
        elif (mapped := our_name(name, resolution)) is None:
            unknown.append(name)
        else:
            ours, layout = mapped
            try:
                parameter = Parameter.of(name, stored, layout)
            except (IndexError, ValueError) as error:
                raise ConvertError(f"variable {name} is misshapen: {list(stored.shape)}") from error
            add(found, ours, parameter)
    return found, unknown


def _stated(settings: Mapping[str, Any], more: Mapping[str, str]) -> dict[str, Any]:
    """Arguments of a config that the settings state, by our names."""
    names = {
        "label_size": "c_dim",
        "resolution": "resolution",
        "num_channels": "img_channels",
        "architecture": "architecture",
        "mapping_layers": "mapping_layers",
        **more,
    }
    return {
        **{ours: settings[theirs] for theirs, ours in names.items() if theirs in settings},
        "conv_clamp": clamp_value(settings.get("conv_clamp")),
        "resample_filter": filter_taps(settings.get("resample_kernel", [1, 3, 3, 1]), "resample_kernel"),
    }


def _confirm_channels(settings: Mapping[str, Any], config: GeneratorConfig | DiscriminatorConfig) -> None:
    """Raises ConvertError if the settings state other channels than the parameters have."""
    base, most = settings.get("fmap_base"), settings.get("fmap_max", 512)
    if isinstance(base, int) and isinstance(most, int) and settings.get("fmap_decay", 1) == 1:
        table = channel_table(config.resolution, 2 * base, most)
        if table != config.channels:
            raise ConvertError(f"stated are the channels {list(table)}, but the weights have {list(config.channels)}")
