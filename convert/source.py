"""Opens a checkpoint of another project: finds out from the file itself what it is, and checks it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from dragspace_jax.convert import nvlabs, rosinality, tensorflow, torchfile
from dragspace_jax.convert.check import ConvertError, FoundNetwork, RefusedError
from dragspace_jax.convert.inert import PICKLE_GLOBALS, Instance
from dragspace_jax.convert.unpickle import Machine
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

_NOT_KNOWN = "not a checkpoint that is known here (NVlabs .pkl for PyTorch or TensorFlow, or rosinality .pt)"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An opened checkpoint. Its arrays lie in the file, which is open as long as `opened` is.

    Attributes:
      format: `nvlabs-pytorch`, `tensorflow` or `rosinality`.
      generator, discriminator: the networks; the latter is None unless it was asked for.
      has_discriminator: whether one could be asked for.
      notes: what else to remember in the model folder, as JSON holds it.
    """

    format: str
    generator: FoundNetwork[GeneratorConfig]
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
    if (path / "config.json").is_file():
        raise ConvertError(f"{path} is a model folder already; it needs no converting")
    if not path.is_file():
        raise ConvertError(f"{path}: no such file" if not path.exists() else f"{path}: not a file")
    with path.open("rb") as stream:
        try:
            yield _read(stream, with_discriminator)
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


def _rosinality(stream: BinaryIO, with_discriminator: bool) -> Checkpoint:
    if with_discriminator:
        raise ConvertError("discriminators of rosinality files are not converted: leave --with-discriminator out")
    generator, notes = rosinality.read_file(torchfile.read(stream))
    return Checkpoint(format="rosinality", generator=generator, has_discriminator=False, notes=notes)


def sha256(path: str | Path) -> str:
    """The file's SHA-256, in hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
