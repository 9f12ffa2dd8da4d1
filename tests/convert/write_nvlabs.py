"""Writes pickles as stylegan2-ada-pytorch and the stylegan3 repository do: fake modules of their names, torch tensors.

A module reduces to `torch_utils.persistence._reconstruct_persistent_obj` with one dict; its state is its __dict__.
"""

from __future__ import annotations

import collections
import pickle
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

from .networks import CHANNEL_BASE, CHANNEL_MAX, Arrays, random_parameters


class EasyDict(dict):
    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


EasyDict.__module__ = "dnnlib.util"


def _reconstruct_persistent_obj(meta: dict) -> None:
    raise AssertionError("the published loader must not be needed")


_reconstruct_persistent_obj.__module__ = "torch_utils.persistence"


@contextmanager
def published_modules(**contents: dict[str, Any]) -> Iterator[None]:
    """Modules of the published programs' names, for as long as something is pickled."""
    modules = {
        "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
        "dnnlib.util": {"EasyDict": EasyDict},
        **{name.replace("__", "."): content for name, content in contents.items()},
    }
    names = {".".join(name.split(".")[: i + 1]) for name in modules for i in range(name.count(".") + 1)}
    for name in names:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(modules.get(name, {}))
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


class Module:
    """A module of the published programs, as far as pickling goes."""

    def __init__(self, class_name: str, **attributes: Any) -> None:
        self.class_name = class_name
        self.module_src = "# published source"
        self.parameters: dict[str, torch.nn.Parameter] = collections.OrderedDict()
        self.buffers: dict[str, torch.Tensor] = collections.OrderedDict()
        self.modules: dict[str, Module] = collections.OrderedDict()
        self.attributes = attributes

    def __reduce__(self):
        state = {
            "training": False,
            "_parameters": self.parameters,
            "_buffers": self.buffers,
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": collections.OrderedDict(),
            "_is_full_backward_hook": None,
            "_modules": self.modules,
            **self.attributes,
        }
        meta = {
            "type": "class",
            "version": 6,
            "module_src": self.module_src,
            "class_name": self.class_name,
            "state": state,
        }
        return _reconstruct_persistent_obj, (meta,)

    def at(self, path: str) -> Module:
        module = self
        for part in path.split("."):
            module = module.modules[part]
        return module

    def child(self, path: str) -> Module:
        """The module at a path, made on the way."""
        module = self
        for part in path.split("."):
            module = module.modules.setdefault(part, Module("Module"))
        return module


_BUFFERS = ("w_avg", "noise_const", "resample_filter")


def build(config: GeneratorConfig | DiscriminatorConfig, arrays: Arrays, repository: str = "ada") -> Module:
    """The tree of modules that holds `arrays`, with the attributes that the published classes have."""
    is_generator = isinstance(config, GeneratorConfig)
    root = Module("Generator" if is_generator else "Discriminator")
    for name, array in arrays.items():
        path, leaf = name.rsplit(".", 1)
        value = torch.from_numpy(array.copy())
        if leaf in _BUFFERS:
            root.child(path).buffers[leaf] = value
        else:
            root.child(path).parameters[leaf] = torch.nn.Parameter(value)
    if not is_generator:
        deviation = root.child("b4.mbstd")
        deviation.attributes = {"group_size": config.mbstd_group_size, "num_channels": config.mbstd_num_channels}
    _describe(root, "", config, repository)
    sizes = {"c_dim": config.c_dim, "img_resolution": config.resolution, "img_channels": config.img_channels}
    if isinstance(config, GeneratorConfig):
        sizes |= {"z_dim": config.z_dim, "w_dim": config.w_dim}
        root.modules["mapping"].attributes = {"num_layers": config.mapping_layers, "num_ws": config.num_ws}
        root.modules["synthesis"].attributes = {**sizes, "num_ws": config.num_ws}
        del root.modules["synthesis"].attributes["c_dim"]
        nested = "synthesis_kwargs"
    else:
        nested = "block_kwargs"
    settings = {"channel_base": CHANNEL_BASE, "channel_max": CHANNEL_MAX, "num_fp16_res": 4}
    settings |= {"conv_clamp": config.conv_clamp, "architecture": config.architecture}
    arguments = EasyDict(sizes)
    arguments.update({nested: EasyDict(settings)} if repository == "ada" else settings)
    root.attributes = {"_init_args": (), "_init_kwargs": arguments, **sizes}
    return root


def _describe(module: Module, path: str, config: GeneratorConfig | DiscriminatorConfig, repository: str) -> None:
    """Give every module below the attributes and the filter that its published class has."""
    for name, child in module.modules.items():
        _describe(child, f"{path}.{name}".strip("."), config, repository)
    last = path.rsplit(".", 1)[-1]
    kernel, unused = (_filter(taps) for taps in (config.resample_filter, (1.0, 3.0, 3.0, 1.0)))
    clamp = config.conv_clamp
    if re.fullmatch(r"fc\d*|embed|affine|out", last):
        multiplier = config.mapping_lr_multiplier if re.fullmatch(r"mapping\.fc\d+", path) else 1
        inputs = module.parameters["weight"].shape[1]
        activation = "lrelu" if last.startswith("fc") else "linear"
        gains = {"weight_gain": multiplier / np.sqrt(inputs).item(), "bias_gain": multiplier}
        module.class_name, module.attributes = "FullyConnectedLayer", {"activation": activation, **gains}
    elif isinstance(config, GeneratorConfig) and last in ("conv0", "conv1"):
        module.class_name = "SynthesisLayer"
        module.attributes = {"use_noise": config.use_noise, "activation": "lrelu", "conv_clamp": clamp, "padding": 1}
        module.buffers["resample_filter"] = kernel if last == "conv0" else unused
    elif last == "torgb":
        module.class_name, module.attributes = "ToRGBLayer", {"conv_clamp": clamp}
    elif last in ("conv0", "conv1", "conv", "fromrgb", "skip"):
        module.class_name = "Conv2dLayer"
        activation, own_clamp = ("linear", None) if last == "skip" else ("lrelu", clamp)
        module.attributes = {"activation": activation, "conv_clamp": own_clamp}
        module.attributes |= {"bias": None} if last == "skip" else {}
        module.buffers["resample_filter"] = kernel if last in ("conv1", "skip") else unused
    elif re.fullmatch(r"b\d+", last):
        module.class_name = "Block"
        module.attributes = {"architecture": config.architecture, "resolution": int(last[1:])}
        if last != "b4" or isinstance(config, GeneratorConfig):
            module.buffers["resample_filter"] = kernel
        if last == "b4" and isinstance(config, DiscriminatorConfig):
            cmap_dim = config.channels[0] if config.cmap_dim is None else config.cmap_dim
            module.attributes["cmap_dim"] = cmap_dim if config.c_dim else 0
    if path == "mapping" and isinstance(config, DiscriminatorConfig):
        module.attributes = {"num_layers": config.mapping_layers, "num_ws": None}
    if repository == "stylegan3" and "weight" in module.parameters:  # its modules also know their sizes
        module.attributes |= {"in_channels": module.parameters["weight"].shape[1]}


def _filter(taps: tuple[float, ...]) -> torch.Tensor:
    row = np.asarray(taps, np.float32)
    return torch.from_numpy(np.outer(row, row) / row.sum() ** 2)


def snapshot(config: GeneratorConfig, discriminator: DiscriminatorConfig, repository: str = "ada") -> dict[str, Any]:
    """What the training programs pickle; the weights are random with the seeds 0 (G_ema), 1 (D) and 2 (G)."""
    return {
        "G": build(config, random_parameters(config, 2), repository),
        "D": build(discriminator, random_parameters(discriminator, 1), repository),
        "G_ema": build(config, random_parameters(config, 0), repository),
        "training_set_kwargs": EasyDict(class_name="training.dataset.ImageFolderDataset", path="faces.zip", xflip=True),
        "augment_pipe": None,
    }


def write(path: Path, content: Any, protocol: int = 3) -> Path:
    with published_modules():
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path
