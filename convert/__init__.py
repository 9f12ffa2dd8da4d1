"""Checkpoints of other projects, turned into model folders without running anything found in them."""

from __future__ import annotations

from pathlib import Path

from dragspace_jax.checkpoint import save_parameters
from dragspace_jax.convert.check import ConvertError
from dragspace_jax.convert.names import from_nvlabs
from dragspace_jax.convert.source import Checkpoint, opened, sha256, weights_file

__all__ = ["Checkpoint", "ConvertError", "convert", "from_nvlabs", "opened", "sha256", "weights_file"]


def convert(
    source: str | Path, out: str | Path, *, force: bool = False, with_discriminator: bool = False
) -> Checkpoint:
    """Turn a published checkpoint into a model folder that `dragspace_jax.load_model` opens.

    Args:
      source: an NVlabs pickle (PyTorch or TensorFlow), a rosinality `.pt`, or a folder of `pytorch-pretrained-biggan`;
        which, the files themselves tell.
      out: the folder to make.
      force: replace a model folder that is there already.
      with_discriminator: convert the discriminator too.

    Returns:
      What the file held. Its arrays cannot be read any more.

    Raises:
      ConvertError: a source that cannot be converted, or a place that is taken; nothing has been written then.
    """
    source, out = Path(source), Path(out)
    _require_free(source, out, force)
    with opened(source, with_discriminator=with_discriminator) as checkpoint:
        discriminator, weights = checkpoint.discriminator, weights_file(source)
        save_parameters(
            out,
            checkpoint.generator.config,
            checkpoint.generator.read(),
            discriminator_config=None if discriminator is None else discriminator.config,
            discriminator_values=None if discriminator is None else discriminator.read(),
            source={"format": checkpoint.format, "sha256": sha256(weights), "file": weights.name, **checkpoint.notes},
        )
    return checkpoint


def _require_free(source: Path, out: Path, force: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not force:
        raise ConvertError(f"{out} is there already; --force replaces a model folder")
    # A folder is deleted as a whole: only what this program made may be.
    if out.is_symlink():
        raise ConvertError(f"{out} is a symbolic link, which --force does not replace; give what it points to")
    if not (out / "config.json").is_file():
        raise ConvertError(f"{out} is not a model folder, so --force does not replace it; give another place")
    if source.resolve().is_relative_to(out.resolve()):
        raise ConvertError(f"{source} lies in {out}, which --force would delete; give another place")
