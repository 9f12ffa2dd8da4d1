"""Opens a checkpoint of another project: finds out from the file itself what it is, and checks it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dragspace_jax.biggan.config import BigGANConfig
from dragspace_jax.convert import biggan, nvlabs, rosinality, tensorflow, torchfile
from dragspace_jax.convert.check import ConvertError, FoundNetwork, RefusedError
from dragspace_jax.convert.inert import PICKLE_GLOBALS, Instance
from dragspace_jax.convert.unpickle import Machine
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

_NOT_KNOWN = (
    "not a checkpoint that is known here (NVlabs .pkl for PyTorch or TensorFlow, rosinality .pt, or a folder of "
    "pytorch-pretrained-biggan)"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An opened checkpoint. Its arrays lie in the file, which is open as long as `opened` is.

    Attributes:
      format: `nvlabs-pytorch`, `tensorflow`, `rosinality` or `pytorch-pretrained-biggan`.
      generator, discriminator: the networks; the latter is None unless it was asked for.
      has_discriminator: whether one could be asked for.
      notes: what else to remember in the model folder, as JSON holds it.
    """

    format: str
    generator: FoundNetwork[GeneratorConfig] | FoundNetwork[BigGANConfig]
    discriminator: FoundNetwork[DiscriminatorConfig] | None = None
    has_discriminator: bool
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)


@contextmanager
def opened(path: str | Path, *, with_discriminator: bool = False) -> Iterator[Checkpoint]:
    """Open a checkpoint and check that it is whole; nothing that stands in it is run.

    Raises:
      ConvertError: not a checkpoint, a truncated or hostile one, or one of an architecture that is not supported.
    """
    path = Path(path)
    folder = path if biggan.is_folder(path) else None
    if folder is None and (path / "config.json").is_file():
        raise ConvertError(f"{path} is a model folder already; it needs no converting")
    weights = weights_file(path)
    if not weights.is_file():
        raise ConvertError(f"{weights}: no such file" if not weights.exists() else f"{weights}: not a file")
    with weights.open("rb") as stream:
        try:
            yield _read(stream, with_discriminator) if folder is None else _biggan(folder, stream, with_discriminator)
        except ConvertError as error:
            # Names from a file may hold anything; the message stays on one line and harmless to a terminal.
            text = "".join(char if char.isprintable() else "?" for char in str(error))
            raise type(error)(f"{path}: {text}") from error


def _read(stream: BinaryIO, with_discriminator: bool) -> Checkpoint:
    head = stream.read(4)
    stream.seek(0)
    if head == torchfile.ZIP_MAGIC:
        return _rosinality(stream, with_discriminator)
    try:
        content = Machine(stream, PICKLE_GLOBALS).load()
    except RefusedError:
        raise
    except ConvertError as error:
        # Every pickle of protocol 2 and later begins so; anything else is a file of another kind.
        raise error if head[:1] == b"\x80" else ConvertError(_NOT_KNOWN) from error
    if content == torchfile.LEGACY_MAGIC:
        stream.seek(0)
        return _rosinality(stream, with_discriminator)
    if isinstance(content, dict) and "G_ema" in content:
        generator, discriminator = nvlabs.read_pickle(content, with_discriminator)
        return Checkpoint(
            format="nvlabs-pytorch",
            generator=generator,
            discriminator=discriminator,
            has_discriminator=isinstance(content.get("D"), Instance),
        )
    if isinstance(content, tuple | list) and len(content) == 3:
        g, d, gs = content
        if isinstance(g, Instance) and isinstance(d, Instance) and isinstance(gs, Instance):
            generator, discriminator = tensorflow.read_pickle((g, d, gs), with_discriminator)
            return Checkpoint(
                format="tensorflow", generator=generator, discriminator=discriminator, has_discriminator=True
            )
    raise ConvertError(f"{_NOT_KNOWN}: the pickle holds neither G_ema nor three networks")


def weights_file(path: str | Path) -> Path:
    """The file that holds a checkpoint's weights: the checkpoint, or one in its folder."""
    path = Path(path)
    return path / biggan.WEIGHTS if biggan.is_folder(path) else path


def _biggan(folder: Path, stream: BinaryIO, with_discriminator: bool) -> Checkpoint:
    if with_discriminator:
        raise ConvertError("these folders have no discriminator: leave --with-discriminator out")
    generator = biggan.read_folder(folder, torchfile.read(stream))
    return Checkpoint(format="pytorch-pretrained-biggan", generator=generator, has_discriminator=False)


def _rosinality(stream: BinaryIO, with_discriminator: bool) -> Checkpoint:
    if with_discriminator:
        raise ConvertError("discriminators of rosinality files are not converted: leave --with-discriminator out")
    content = torchfile.read(stream)
    biggan.refuse_other_layouts(content)
    if biggan.is_state_dict(content):
        raise ConvertError("this is a BigGAN-deep without its settings: give the folder that has config.json beside it")
    generator, notes = rosinality.read_file(content)
    return Checkpoint(format="rosinality", generator=generator, has_discriminator=False, notes=notes)


def sha256(path: str | Path) -> str:
    """The file's SHA-256, in hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
