"""Model folders: config.json and an Orbax checkpoint, opened without torch.

The currency is a flat dict {published parameter name: array in our layout} (docs/formats.md#model-folder). A folder is
written beside its place and renamed into it, so a half-written one never looks whole. The one that it replaces is set
aside under a name that readers know until the new one has its place, so a whole model can be read at every moment.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from dragspace_jax.biggan import BigGAN, BigGANConfig
from dragspace_jax.building import ModelError, build_biggan, build_discriminator, build_generator
from dragspace_jax.placement import Where, one_device, running_on
from dragspace_jax.remote_folders import fetched, is_remote
from dragspace_jax.stored_arrays import read_arrays
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig
from dragspace_jax.stylegan2.discriminator import Discriminator
from dragspace_jax.stylegan2.generator import Generator

if TYPE_CHECKING:
    import orbax.checkpoint as ocp

FORMAT_VERSION = 1
EMBEDDED_MODELS = ("critters-dog", "critters-cat")
Parameters = Mapping[str, np.ndarray]
_BIGGAN = "biggan"
_FAMILIES = {"stylegan2": GeneratorConfig, _BIGGAN: BigGANConfig}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What config.json says.

    Attributes:
      generator, discriminator: the architectures, of which the generator's tells the family; the latter is None if the
        folder has no discriminator.
      source: where the weights come from: {"format": …, "sha256": …, …}.
      files: {path in the folder: bytes} of the weights, so that a partial copy is told without opening it.
    """

    generator: GeneratorConfig | BigGANConfig
    discriminator: DiscriminatorConfig | None
    source: dict[str, Any]
    files: dict[str, int]


def save_parameters(
    folder: str | Path,
    config: GeneratorConfig | BigGANConfig,
    values: Parameters,
    *,
    discriminator_config: DiscriminatorConfig | None = None,
    discriminator_values: Parameters | None = None,
    source: Mapping[str, Any],
) -> None:
    """Write a model folder; a model at `folder` is replaced once the new one is whole.

    Wherever this is interrupted, even by the death of the process, `load_model` opens the old model or the new one.

    Args:
      folder: the place.
      config, values: the generator and its parameters by dotted name, stored in the type they have.
      discriminator_config, discriminator_values: likewise, or None.
      source: what to remember of the origin (`format`, `sha256`, …); anything JSON holds.

    Raises:
      ModelError: something else than a model folder is there.
    """
    folder = Path(folder).resolve()  # of a link, the folder that it names is replaced
    if folder.exists() and not _is_model(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} is there and is no model folder, so it is not replaced")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        card = {
            "format_version": FORMAT_VERSION,
            "source": dict(source),
            **({"family": _BIGGAN} if isinstance(config, BigGANConfig) else {}),
            "generator": config.to_json(),
            "discriminator": None if discriminator_config is None else discriminator_config.to_json(),
        }
        networks = {"generator": values, "discriminator": discriminator_values}
        for name, network in networks.items():
            if network is not None:
                with _writer() as checkpointer:
                    checkpointer.save((staging / name).absolute(), dict(network))
                # Orbax's note of success names the path on this machine, and nothing reads it.
                (staging / name / "commit_success.txt").unlink(missing_ok=True)
        (staging / "config.json").write_text(json.dumps({**card, "files": _files(staging)}, indent=2) + "\n")
        staging.chmod(0o755)
        _flush(staging)
        _replace(folder, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(folder: Path, staging: Path) -> None:
    """Rename `staging` to `folder`. What is a model there now is set aside before, and deleted after."""
    aside = _set_aside(folder)
    try:
        if _is_model(folder):
            shutil.rmtree(aside, ignore_errors=True)  # of a replacement that was interrupted after its last rename
            folder.rename(aside)
        staging.rename(folder)
    except BaseException:
        if _is_model(aside) and not folder.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _set_aside(folder: Path) -> Path:
    """Where a model is while another takes its place."""
    return folder.with_name(f".{folder.name}-replaced")


def _is_model(folder: Path) -> bool:
    """Whether the folder has what is written last into a model folder."""
    return (folder / "config.json").is_file()


def _flush(folder: Path) -> None:
    """Hand all files of a folder to the disk, so that a loss of power leaves no whole name for half a model."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _files(folder: Path) -> dict[str, int]:
    """{path: bytes} of all files of the weights."""
    found = (path for path in folder.glob("*/**/*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(found)}


def _writer() -> ocp.Checkpointer:
    """Writes without the copy that Orbax makes of NumPy arrays, lest somebody changes them meanwhile: nobody does."""
    import orbax.checkpoint as ocp  # takes longer to import than a model to read, and only writing needs it

    registry = ocp.type_handlers.create_type_handler_registry(
        (np.ndarray, ocp.type_handlers.NumpyHandler(deepcopy_host_arrays=False)),
        (jax.Array, ocp.type_handlers.ArrayHandler()),
    )
    return ocp.Checkpointer(ocp.PyTreeCheckpointHandler(type_handler_registry=registry))


def resolve(model: str | Path) -> Path:
    """The folder of a model given by its path or by the name of an embedded one. Raises ModelError if there is none.

    A model in an object store (`gs://…`, `s3://…`) is copied here first.

    Where a replacement was interrupted between its renames, this is the old model, still set aside.
    """
    if str(model) in EMBEDDED_MODELS:
        folder = Path(str(importlib.resources.files("dragspace_jax"))) / "critters" / "weights" / str(model)
    elif is_remote(model):
        try:
            folder = fetched(str(model))
        except Exception as error:  # each store's client has errors of its own
            raise ModelError(f"the model {model} cannot be read: {' '.join(str(error).split())}") from error
    else:
        folder = Path(model)
        if not _is_model(folder) and folder.name and _is_model(_set_aside(folder)):
            folder = _set_aside(folder)
    if not _is_model(folder):
        raise ModelError(
            f"unknown model {str(model)!r}: neither a model folder (config.json is missing) nor one of "
            f"{', '.join(EMBEDDED_MODELS)}; `dragspace convert` makes a model folder from a checkpoint"
        )
    return folder


def read_card(model: str | Path) -> ModelCard:
    """Read a model's config.json. Raises ModelError if it is not there or not ours."""
    path = resolve(model) / "config.json"
    try:
        card = json.loads(path.read_text())
        if card["format_version"] != FORMAT_VERSION:
            raise ModelError(f"{path} has format version {card['format_version']}; this program reads {FORMAT_VERSION}")
        discriminator, family = card["discriminator"], card.get("family", "stylegan2")
        if family not in _FAMILIES:
            raise ModelError(f"{path} is of the family {family!r}; this program reads {', '.join(_FAMILIES)}")
        for name in ("source", "files"):
            if not isinstance(card[name], dict):
                raise TypeError(f"{name} is not an object")
        return ModelCard(
            generator=_FAMILIES[family].from_json(card["generator"]),
            discriminator=None if discriminator is None else DiscriminatorConfig.from_json(discriminator),
            source=card["source"],
            files=card["files"],
        )
    except ModelError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{path} is not a model's config.json: {type(error).__name__}: {error}") from error


def _restore(folder: Path, name: str, files: Mapping[str, int]) -> dict[str, np.ndarray]:
    whole = _files(folder)
    damaged = sorted(path for path, size in files.items() if whole.get(path) != size)
    if damaged:
        raise ModelError(
            f"the model folder {folder} is not whole: {damaged[0]} is missing or cut; copy all of it again"
        )
    try:
        # Converted here: on a device, each shape would be a program of its own to compile.
        return {key: array.astype(np.float32, copy=False) for key, array in read_arrays(folder / name).items()}
    except Exception as error:  # the storage raises whatever it meets, bare Exception included
        raise ModelError(
            f"the weights in {folder / name} are missing or damaged; convert the model again, or copy the whole folder"
        ) from error


def load_model(model: str | Path, *, device: Where = None) -> Generator | BigGAN:
    """Open a generator of either family by its folder's path or an embedded name, as float32.

    Args:
      model: which.
      device: where it shall lie, and what uses it run: `cpu`, `gpu:0`, …; None: where JAX prefers.

    Raises:
      ModelError: unknown name, or a folder that is not whole.
      DeviceError: no such device.
    """
    place = one_device(device)
    card = read_card(model)
    values = _restore(resolve(model), "generator", card.files)
    with running_on(place):
        if isinstance(card.generator, BigGANConfig):
            return build_biggan(card.generator, values)
        return build_generator(card.generator, values)


def stylegan2_config(model: str | Path) -> GeneratorConfig:
    """The architecture of a StyleGAN2. Raises ModelError as `read_card`, and for a model of another family."""
    config = read_card(model).generator
    if isinstance(config, BigGANConfig):
        raise ModelError(
            f"{model} is a BigGAN, and a StyleGAN2 is needed here: a BigGAN has no W. `load_model` opens it in Python; "
            "the commands generate, inspect and drag take it"
        )
    return config


def load(model: str | Path, *, device: Where = None) -> Generator:
    """Open a StyleGAN2 by its folder's path or an embedded name (`critters-dog`, `critters-cat`), as float32.

    Args:
      model: which.
      device: as `load_model` has it.

    Raises:
      ModelError: unknown name, a folder that is not whole, or a model of another family.
      DeviceError: no such device.
    """
    stylegan2_config(model)
    found = load_model(model, device=device)
    assert isinstance(found, Generator)
    return found


def load_discriminator(model: str | Path) -> Discriminator:
    """Open a model folder's discriminator, as float32. Raises ModelError if it has none."""
    card = read_card(model)
    if card.discriminator is None:
        raise ModelError(f"{model} has no discriminator; convert the checkpoint with --with-discriminator")
    return build_discriminator(card.discriminator, _restore(resolve(model), "discriminator", card.files))
