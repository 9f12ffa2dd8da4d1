"""The public package's BigGAN with random weights, its folder, and its layouts, small."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import torch

# The package's module of downloads wants libraries that nothing here needs.
_downloads: Any = types.ModuleType("pytorch_pretrained_biggan.file_utils")
_downloads.cached_path = None
_downloads.PYTORCH_PRETRAINED_BIGGAN_CACHE = None
sys.modules.setdefault(_downloads.__name__, _downloads)

import pytorch_pretrained_biggan as package  # type: ignore[import-untyped]  # noqa: E402

_COMMON = [(False, 16, 16), (True, 16, 16), (False, 16, 16), (True, 16, 8), (False, 8, 8)]
_LAST = [(False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1)]
LAYERS = {
    16: [(True, 16, 8), (False, 8, 4), (False, 4, 2), (True, 2, 1)],
    128: [*_COMMON, (True, 8, 4), *_LAST],
    256: [*_COMMON, (True, 8, 8), (False, 8, 8), (True, 8, 4), *_LAST],
    512: [*_COMMON, (True, 8, 8), (False, 8, 8), (True, 8, 4), *_LAST, (False, 1, 1), (True, 1, 1)],
}
"""The published models' residual blocks by their images' side, and those of a tiny one."""
PUBLISHED = (128, 256, 512)
_ATTENTION = {16: 3}


def settings(side: int, **changes: Any) -> dict[str, Any]:
    """A config.json of the package, of few channels."""
    return {
        "output_dim": side,
        "layers": LAYERS[side],
        "attention_layer_position": _ATTENTION.get(side, 8),
        "channel_width": 4,
        "z_dim": 6,
        "class_embed_dim": 6,
        "num_classes": 5,
        "eps": 1e-4,
        "n_stats": 51,
        **changes,
    }


def random_model(stated: dict[str, Any], seed: int = 0) -> Any:
    """The package's network as it is evaluated; every parameter and statistic is random, the sets all different."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)  # of the vectors that spectral norms begin with
        model = package.BigGAN(package.BigGANConfig.from_dict(stated))
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            random = torch.randn(value.shape, generator=generator)
            if name.endswith("running_vars"):
                value.copy_(random.abs() + 0.5)
            elif name.endswith("running_means"):
                value.copy_(0.3 * random)
            elif not name.endswith(("weight_u", "weight_v")):
                value.copy_(random)
        model.generator.bn.weight.mul_(0.02)  # few pixels of the image are saturated then
        for _ in range(2):  # in training a pass brings u and v nearer to what they stand for, not quite to it
            model(torch.zeros(1, stated["z_dim"]), torch.ones(1, stated["num_classes"]), 1.0)
        model.eval()(torch.zeros(1, stated["z_dim"]), torch.ones(1, stated["num_classes"]), 1.0)  # folds the weights
    return model


def write_folder(folder: Path, model: Any, state: dict[str, Any] | None = None, *, zipped: bool = True) -> Path:
    """The folder format: config.json and pytorch_model.bin of the model, or of another state dict."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()))
    state = model.state_dict() if state is None else state
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    return folder
