"""Seeds, labels and files of latents, checked against the model before any work starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.arrays import DAMAGED, UnreadableArrays, read_arrays
from dragspace_jax.biggan import BigGAN, BigGANConfig, BigGANLatents
from dragspace_jax.errors import DragspaceError
from dragspace_jax.networks.rendering import stacked
from dragspace_jax.stylegan2.config import GeneratorConfig
from dragspace_jax.stylegan2.generator import Generator, seed_to_z
from dragspace_jax.stylegan2.latents import Latents
from dragspace_jax.stylegan2.mapping import Mapping


class InputError(DragspaceError):
    """A seed, a label or a file that does not fit the model, or is none."""


def label_vector(config: GeneratorConfig | BigGANConfig, label: int | None) -> np.ndarray | None:
    """Class index → one-hot [1, c_dim] float32, or None for an unconditional model.

    Raises:
      InputError: a label for a model without classes, none for one with, or one out of range.
    """
    if config.c_dim == 0:
        if label is not None:
            raise InputError(f"label {label}: the model has no classes; leave `label` out", field="label")
        return None
    if label is None:
        raise InputError(f"the model has classes: give one as `label`, 0 to {config.c_dim - 1}", field="label")
    if not 0 <= label < config.c_dim:
        raise InputError(f"label {label}: the model has classes 0 to {config.c_dim - 1}", field="label")
    return np.eye(config.c_dim, dtype=np.float32)[label][None]


def check_seed_options(config: GeneratorConfig | BigGANConfig, *, psi: float, label: int | None) -> np.ndarray | None:
    """`label_vector` of the label, once psi is known to be a finite number. Raises InputError."""
    if not math.isfinite(psi):
        raise InputError(f"psi {psi}: a finite number is needed, such as 0.7", field="psi")
    return label_vector(config, label)


def start_latents(
    model: Generator | BigGAN, seeds: Sequence[int], *, psi: float, label: int | None = None
) -> Latents | BigGANLatents:
    """Latents of seeds, as the model's family has them: arrays with a leading n, n = len(seeds).

    Args:
      model: the generator, of either family.
      seeds: as the published tools of the family take them.
      psi: truncation; of a StyleGAN2 as `seed_latents` has it, of a BigGAN above 0 and at most 1.
      label: class, for a model with classes.

    Raises:
      InputError: psi is not finite, or the label does not fit the model.
      BigGANLatentsError: psi is no truncation of a BigGAN.
    """
    if not isinstance(model, BigGAN):
        return Latents(ws=seed_latents(model, seeds, psi=psi, label=label))
    from dragspace_jax.biggan import seeds as of_biggan  # a StyleGAN2's start does without

    check_seed_options(model.config, psi=psi, label=label)
    assert label is not None  # a BigGAN has classes
    return of_biggan.seed_latents(model, seeds, truncation=psi, label=label)


def seed_latents(model: Generator, seeds: Sequence[int], *, psi: float, label: int | None = None) -> np.ndarray:
    """W+ of seeds: [n, L, D] float32, n = len(seeds), truncated in all layers by psi.

    One seed is mapped at a time, so that its latent does not depend on its company.

    Raises:
      InputError: psi is not finite, or the label does not fit the model.
    """
    one_hot = check_seed_options(model.config, psi=psi, label=label)
    rows = [
        np.asarray(_truncated_w(model.mapping, seed_to_z(seed, model.config.z_dim), one_hot, psi)) for seed in seeds
    ]
    return np.repeat(np.stack(rows), model.config.num_ws, axis=1)


@jax.jit
def _truncated_w(mapping: Mapping, z: jax.Array, c: jax.Array | None, psi: jax.Array | float) -> jax.Array:
    """z [1, Z] and label c [1, c_dim] → w [1, D]; psi is traced, so that one compilation serves every psi."""
    w = mapping.trunk(z, c)
    w_avg = mapping.w_avg[...][None]
    return jnp.where(psi == 1.0, w, w_avg + psi * (w - w_avg))


def load_latents(path: str | Path, config: GeneratorConfig, *, key: str = "ws") -> np.ndarray:
    """W+ from a file: .npy, or .npz under the key, [L, D] or [n, L, D] → [n, L, D] float32.

    Pickled contents are refused, so a file from elsewhere runs nothing.

    Raises:
      InputError: no such file, not an array file, no such key in it, not numbers, not finite, or of the wrong shape.
    """
    return load_ws(path, layers=config.num_ws, width=config.w_dim, key=key)


def load_ws(path: str | Path, *, layers: int | None, width: int, key: str = "ws") -> np.ndarray:
    """`load_latents` where the model is not at hand: of its W the width D is known, and perhaps the layers L."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"latents {path}: no such file")
    ws = read_array(path, key)
    if not np.issubdtype(ws.dtype, np.floating):
        raise InputError(f"latents {path}: the type is {ws.dtype}; floating-point numbers are needed")
    fits = ws.ndim in (2, 3) and ws.shape[-1] == width and layers in (None, ws.shape[-2])
    if not fits or 0 in ws.shape:
        rows = "L" if layers is None else layers
        raise InputError(
            f"latents {path}: the shape is {list(ws.shape)}; "
            f"the model takes [{rows}, {width}] or [n, {rows}, {width}] (layers, width)"
        )
    with np.errstate(over="ignore"):  # float64 beyond float32's range becomes infinite and is refused below
        ws = ws.astype(np.float32).reshape(-1, *ws.shape[-2:])
    if not np.isfinite(ws).all():
        raise InputError(f"latents {path}: some values are not finite")
    return ws


def load_one_latent(path: str | Path, config: GeneratorConfig, *, key: str = "ws") -> np.ndarray:
    """`load_latents` where only one image is meant: [L, D] or [1, L, D] → [L, D] float32. Raises InputError."""
    ws = load_latents(path, config, key=key)
    if len(ws) != 1:
        raise InputError(f"latents {path}: the file holds {len(ws)} latents; one is needed, [L, D] or [1, L, D]")
    return ws[0]


def read_several_latents(path: str | Path, model: Generator | BigGAN) -> Latents | BigGANLatents:
    """Latents of n images from a file: ws as `load_latents` takes it, and in an .npz their offsets, [C] or [n, C].

    Of a BigGAN `z`, `class_embedding` and `statistics` of an .npz, with a leading n.

    Raises:
      InputError: as `load_latents` does.
      LatentsError, BigGANLatentsError: offsets or latents that do not fit the model.
    """
    if not isinstance(model, BigGAN):
        return _several_ws(Path(path), model)
    try:
        found = BigGANLatents.of_arrays(read_arrays(path))
    except FileNotFoundError as error:
        raise InputError(f"latents {path}: no such file") from error
    except UnreadableArrays as error:
        raise InputError(f"latents: {error}") from error
    one = np.ndim(found.z) == 1
    counts = {len(np.atleast_2d(leaf)) for leaf in jax.tree.leaves(found)}
    if len(counts) > 1 or 0 in counts:
        raise InputError(f"latents {path}: z, class_embedding and statistics are of different numbers of images")
    rows = [found] if one else [jax.tree.map(lambda leaf, i=i: leaf[i], found) for i in range(counts.pop())]
    return stacked([model.check_latents(row) for row in rows])


@overload
def read_latents(path: str | Path, model: Generator) -> Latents: ...


@overload
def read_latents(path: str | Path, model: BigGAN) -> BigGANLatents: ...


def read_latents(path: str | Path, model: Generator | BigGAN) -> Latents | BigGANLatents:
    """One image's latents from a file: ws as `load_one_latent` takes it, and in an .npz its offsets, `styles/NAME`.

    Of a BigGAN `z`, `class_embedding` and `statistics` of an .npz.

    Raises:
      InputError: as `load_latents` does.
      LatentsError, BigGANLatentsError: offsets or latents that do not fit the model.
    """
    if isinstance(model, BigGAN):
        several = read_several_latents(path, model)
        count = len(jax.tree.leaves(several)[0])
        if count != 1:
            raise InputError(f"latents {path}: the file holds {count} latents; one is needed")
        return jax.tree.map(lambda leaf: leaf[0], several)
    ws = load_one_latent(path, model.config)
    offsets = Latents.of_arrays({"ws": ws, **{name: read_array(Path(path), name) for name in _offsets(Path(path))}})
    return model.check_latents(offsets)


def _several_ws(path: Path, model: Generator) -> Latents:
    ws = load_latents(path, model.config)
    offsets = {name: read_array(path, name) for name in _offsets(path)}
    for name, array in offsets.items():
        if len(ws) > 1 and array.shape[:1] != (len(ws),):
            raise InputError(f"latents {path}: `{name}` has shape {list(array.shape)}; the file holds {len(ws)} images")
    rows = [
        {"ws": one} | {name: array[index] if array.ndim > 1 else array for name, array in offsets.items()}
        for index, one in enumerate(ws)
    ]
    return Latents.stack([model.check_latents(Latents.of_arrays(row)) for row in rows])


def _offsets(path: Path) -> list[str]:
    """Names of the arrays with offsets of styles; a .npy has none."""
    return [name for name in array_names(path) if name.startswith("styles/")]


def array_names(path: Path) -> list[str]:
    """Names of the arrays of an .npz that `read_array` can read; a .npy has none."""
    content = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(content, np.ndarray):
        return []
    with content:
        return content.files


def read_array(path: Path, key: str) -> np.ndarray:
    """The array of a .npy, or that of a .npz under the key; pickled contents are refused. Raises InputError."""
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return content
            if key not in content.files:
                keys = ", ".join(content.files) or "none"
                raise InputError(f"latents {path}: the archive has no array `{key}`; it has {keys}")
            return content[key]
    except InputError:
        raise
    except MemoryError as error:  # a header may promise any shape
        raise InputError(f"latents {path}: the array does not fit in memory") from error
    except DAMAGED as error:
        raise InputError(f"latents {path}: not an array file (.npy, .npz) of plain numbers") from error
