"""What a checkpoint's pickle may name, and the inert values such names make.

Nothing here is imported by a name from a file: a name is looked up in a fixed table, and what the table holds are
constructors that only keep what they are given.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from dragspace_jax.convert.check import ConvertError, RefusedError
from dragspace_jax.convert.stored import STORAGES, Dtype, FileSpan, StoredArray, StoredStorage, StoredTensor, bytes_of


class Instance:
    """An object of a class of the file's program: its class's name and its state, no methods."""

    def __init__(self, kind: str, state: object = None) -> None:
        self.kind = kind
        self.state: dict[str, Any] = {}
        if state is not None:
            self.build(state)

    def build(self, state: object) -> None:
        if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
            raise ConvertError(f"an object of {self.kind} has a state that is no dict")
        self.state = state


@dataclasses.dataclass(frozen=True)
class Named:
    """A thing that is known by its name alone: a torch dtype, a class. `make` is None if it cannot be called."""

    name: str
    make: Callable[..., Any] | None = None


def _persistent(meta: object) -> Instance:
    """The published modules' pickled form: the class's name and the module's __dict__; the source is not looked at."""
    if not isinstance(meta, dict) or not isinstance(meta.get("class_name"), str):
        raise ConvertError("a pickled module has no class name")
    return Instance(meta["class_name"], meta.get("state"))


def _empty_dict() -> dict[str, Any]:
    return {}


def _nested_storage(data: object) -> StoredStorage:
    """A storage as a torch file of its own inside a pickle: described at once, fetched later."""
    from dragspace_jax.convert import torchfile  # it needs the machine, which needs this module

    storage, offset = torchfile.read_nested(bytes_of(data))
    # The bytes are let go of now, and read again when they are needed.
    storage.fetch = lambda: bytes_of(data)[offset:]
    return storage


def _encode(text: object, encoding: object) -> Any:
    if encoding != "latin1":
        raise RefusedError("_codecs.encode is allowed for latin1 only")
    if isinstance(text, FileSpan):
        return dataclasses.replace(text, is_text=True)
    if not isinstance(text, str):
        raise RefusedError("_codecs.encode is allowed for text only")
    return text.encode("latin-1")


def _new_array(kind: object, shape: object, code: object) -> StoredArray:
    if not isinstance(kind, Named) or kind.name != "numpy.ndarray":
        raise RefusedError("numpy's _reconstruct is allowed for plain arrays only")
    return StoredArray()


_NUMPY = {
    "_reconstruct": _new_array,
    "scalar": lambda dtype, data: StoredArray().set((), dtype, data, "C"),
}
_COMMON: dict[str, Callable[..., Any] | None] = {
    "collections.OrderedDict": _empty_dict,
    "builtins.set": lambda *_: None,  # only bookkeeping of torch modules, never looked at
    "builtins.bytes": lambda: b"",
    "_codecs.encode": _encode,
    "torch._utils._rebuild_tensor_v2": StoredTensor.rebuild,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    **{f"torch.{name}": None for name in ("float16", "float32", "float64", "bfloat16", "int32", "int64", "uint8")},
    "torch.bool": None,
}
_PICKLES: dict[str, Callable[..., Any] | None] = {
    **_COMMON,
    "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
    "dnnlib.util.EasyDict": _empty_dict,
    "dnnlib.tflib.network.Network": lambda: Instance("Network"),
    "torch.storage._load_from_bytes": _nested_storage,
    "numpy.dtype": Dtype,
    "numpy.ndarray": None,
    **{f"{core}.multiarray.{name}": make for core in ("numpy.core", "numpy._core") for name, make in _NUMPY.items()},
    **{
        f"{core}.numeric._frombuffer": lambda data, dtype, shape, order: StoredArray().set(shape, dtype, data, order)
        for core in ("numpy.core", "numpy._core")
    },
}
_TORCH_FILES: dict[str, Callable[..., Any] | None] = {
    **_COMMON,
    "argparse.Namespace": lambda: Instance("argparse.Namespace"),
    **dict.fromkeys(STORAGES),
}


def _table(makers: Mapping[str, Callable[..., Any] | None]) -> dict[str, Named]:
    return {name: Named(name, make) for name, make in makers.items()}


PICKLE_GLOBALS = _table(_PICKLES)
"""What pickles of the published programs name (docs/formats.md#nvlabs-pickles, docs/formats.md#tensorflow-pickles)."""
TORCH_GLOBALS = _table(_TORCH_FILES)
"""What files of `torch.save` name (docs/formats.md#rosinality-files), those nested in a pickle included."""
