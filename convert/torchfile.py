"""Files of `torch.save`, whole or nested in a pickle: looked through by our own machine, then opened by torch.

torch opens them with `weights_only`; the look before it names what is refused, also where torch is not installed.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from dragspace_jax.convert.check import ConvertError
from dragspace_jax.convert.inert import TORCH_GLOBALS
from dragspace_jax.convert.unpickle import Machine

if TYPE_CHECKING:
    import torch

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_MAGIC = b"PK\x03\x04"
_LARGEST_DESCRIPTION = 64 * 2**20  # a zip's pickle holds names and shapes only


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ConvertError("this file needs PyTorch to be read: pip install 'dragspace-jax[convert]'") from error
    return torch


def look_through(stream: BinaryIO) -> None:
    """Interpret the pickles of a torch file without torch. Raises RefusedError for what they may not name."""
    start = stream.tell()
    if stream.read(4) == ZIP_MAGIC:
        _look_through_zip(stream)
        return
    stream.seek(start)
    # Magic number, protocol, the writer's machine, the object, the storages' keys; then the numbers themselves.
    for position in range(5):
        value = Machine(stream, TORCH_GLOBALS, with_storages=True).load()
        if position == 0 and value != LEGACY_MAGIC:
            raise ConvertError("a nested torch file is none: the magic number is missing")


def _look_through_zip(stream: BinaryIO) -> None:
    try:
        with zipfile.ZipFile(stream) as archive:
            descriptions = [entry for entry in archive.infolist() if entry.filename.endswith(".pkl")]
            if [Path(entry.filename).name for entry in descriptions] != ["data.pkl"]:
                raise ConvertError("this zip file is no checkpoint of torch.save (it has not one data.pkl)")
            if descriptions[0].file_size > _LARGEST_DESCRIPTION:
                raise ConvertError("this zip file describes more than a checkpoint can hold")
            content = archive.read(descriptions[0])
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise ConvertError(f"not a whole zip file of torch.save: {error}") from error
    Machine(io.BytesIO(content), TORCH_GLOBALS, with_storages=True).load()


class _Namespace:
    """Stands for the command-line arguments that rosinality's training script stores; never looked at."""


def open_file(path: Path) -> Any:
    """The content of a torch file, tensors on the CPU; a zip file's stay in the file until they are read."""
    torch = _torch()
    with path.open("rb") as stream:
        look_through(stream)
        stream.seek(0)
        is_zip = stream.read(4) == ZIP_MAGIC
    with torch.serialization.safe_globals([(_Namespace, "argparse.Namespace")]):
        return _loaded(path, is_zip)


def _loaded(file: Any, is_zip: bool) -> Any:
    try:
        return _torch().load(file, map_location="cpu", weights_only=True, mmap=is_zip)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConvertError(f"not a readable torch file: {reason[0]}") from error


def tensor_values(tensor: torch.Tensor) -> np.ndarray:
    """A view of a tensor's values; bfloat16, which NumPy lacks, becomes float32."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == _torch().bfloat16 else tensor).numpy()


def read_storage(content: bytes) -> np.ndarray:
    """All elements of a storage that lies in a pickle as a torch file of its own, [n]."""
    torch = _torch()
    storage = _loaded(io.BytesIO(content), is_zip=False)
    if not isinstance(storage, torch.storage.TypedStorage):
        raise ConvertError("a nested torch file holds something else than a storage")
    # A flat tensor over the storage; the views that the pickle describes are made by NumPy, which checks nothing
    # and resizes nothing.
    flat = torch.empty(0, dtype=storage.dtype).set_(storage._untyped_storage)
    return tensor_values(flat)
