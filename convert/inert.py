"""What a checkpoint's pickle may name, and the inert values such names make.

Nothing here is imported by a name from a file: a name is looked up in a fixed table, and what the table holds are
constructors of the classes below, which only keep what they are given. Arrays stay in the file until they are read.
"""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from dragspace_jax.convert.check import ConvertError
from dragspace_jax.convert.names import Shape


@dataclasses.dataclass(frozen=True)
class FileSpan:
    """A long string of bytes (or of text that stands for bytes) left where it is in the file."""

    stream: BinaryIO
    offset: int
    length: int
    is_text: bool

    def read(self) -> bytes:
        position = self.stream.tell()  # somebody may be in the middle of the file
        self.stream.seek(self.offset)
        data = self.stream.read(self.length)
        self.stream.seek(position)
        try:
            return data.decode("utf-8").encode("latin-1") if self.is_text else data
        except UnicodeError as error:
            raise ConvertError("a text that should stand for bytes holds other characters") from error


def _bytes(data: object) -> bytes:
    if isinstance(data, FileSpan):
        return data.read()
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    raise ConvertError(f"an array's data is a {type(data).__name__}, not bytes")


def _shape(shape: object) -> Shape:
    if not isinstance(shape, tuple) or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
        raise ConvertError("an array has a shape that is none")
    return shape


class Dtype:
    """A NumPy type of plain numbers."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?(b1|[iu][1248]|f[248])", code):
            raise ConvertError(f"numpy.dtype({str(code)[:20]!r}) is refused: only plain numbers are read")
        self.value = np.dtype(code)

    def build(self, state: object) -> None:
        """(version, byte order, subarray, names, fields, …)."""
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise ConvertError("numpy.dtype with fields is refused: only plain numbers are read")
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class StoredArray:
    """A NumPy array or scalar, in the file."""

    def __init__(self) -> None:
        self.shape: Shape = (0,)
        self._dtype, self._data, self._order = np.dtype("f4"), b"", "C"

    def set(self, shape: object, dtype: object, data: object, order: object) -> StoredArray:
        if not isinstance(dtype, Dtype) or order not in ("C", "F"):
            raise ConvertError("an array is described by something else than a shape, a type and an order")
        self.shape, self._dtype, self._data, self._order = _shape(shape), dtype.value, data, order
        size = math.prod(self.shape) * self._dtype.itemsize
        # A text's length in the file says little about the bytes it stands for; read() finds out.
        stated = data.length if isinstance(data, FileSpan) else len(_bytes(data))
        if size > stated or (size < stated and not (isinstance(data, FileSpan) and data.is_text)):
            raise ConvertError(f"an array of shape {list(self.shape)} comes with {stated} bytes of data")
        return self

    def build(self, state: object) -> None:
        """(version, shape, dtype, is_fortran, data)."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise ConvertError("a NumPy array has a state of another kind")
        self.set(state[1], state[2], state[4], "F" if state[3] else "C")

    def read(self) -> np.ndarray:
        try:
            flat = np.frombuffer(_bytes(self._data), self._dtype)
            return flat.reshape(self.shape, order="F" if self._order == "F" else "C")
        except ValueError as error:
            raise ConvertError(f"an array of shape {list(self.shape)} has other data: {error}") from error


@dataclasses.dataclass(frozen=True)
class NestedStorage:
    """A torch storage that lies in the pickle as a torch file of its own; looked through at once, opened later."""

    data: Any

    def __post_init__(self) -> None:
        from dragspace_jax.convert import torchfile  # it needs the machine, which needs this module

        torchfile.look_through(io.BytesIO(_bytes(self.data)))


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A view of a torch storage; sizes and strides in elements."""

    storage: Any
    offset: int
    shape: Shape
    stride: Shape

    @classmethod
    def rebuild(cls, storage: object, offset: object, size: object, stride: object, *_: object) -> StoredTensor:
        shape, steps = _shape(size), _shape(stride)
        if type(offset) is not int or offset < 0 or len(shape) != len(steps):
            raise ConvertError("a tensor has an offset or a stride that is none")
        return cls(storage, offset, shape, steps)

    def read(self) -> np.ndarray:
        from dragspace_jax.convert import torchfile  # torch is asked for only when a tensor is read

        if not isinstance(self.storage, NestedStorage):
            raise ConvertError("a tensor has no storage")
        flat = torchfile.read_storage(_bytes(self.storage.data))
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True))
        if 0 in self.shape or last >= flat.size or math.prod(self.shape) > flat.size:
            raise ConvertError(f"a tensor of shape {list(self.shape)} reaches beyond its storage of {flat.size}")
        steps = [step * flat.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False)


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


def _encode(text: object, encoding: object) -> Any:
    if encoding != "latin1":
        raise ConvertError("_codecs.encode is allowed for latin1 only")
    if isinstance(text, FileSpan):
        return dataclasses.replace(text, is_text=True)
    if not isinstance(text, str):
        raise ConvertError("_codecs.encode is allowed for text only")
    return text.encode("latin-1")


def _new_array(kind: object, shape: object, code: object) -> StoredArray:
    if not isinstance(kind, Named) or kind.name != "numpy.ndarray":
        raise ConvertError("numpy's _reconstruct is allowed for plain arrays only")
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
    "torch.storage._load_from_bytes": NestedStorage,
    "numpy.dtype": Dtype,
    "numpy.ndarray": None,
    **{f"{core}.multiarray.{name}": make for core in ("numpy.core", "numpy._core") for name, make in _NUMPY.items()},
    **{
        f"{core}.numeric._frombuffer": lambda data, dtype, shape, order: StoredArray().set(shape, dtype, data, order)
        for core in ("numpy.core", "numpy._core")
    },
}
_STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "Untyped")
_TORCH_FILES: dict[str, Callable[..., Any] | None] = {
    **_COMMON,
    "argparse.Namespace": lambda: Instance("argparse.Namespace"),
    **{f"torch.{kind}Storage": None for kind in _STORAGES},
    "torch.storage.UntypedStorage": None,
    "torch.storage.TypedStorage": None,
}


def _table(makers: Mapping[str, Callable[..., Any] | None]) -> dict[str, Named]:
    return {name: Named(name, make) for name, make in makers.items()}


PICKLE_GLOBALS = _table(_PICKLES)
"""What the pickles of the published programs name (FORMATS §1, §2)."""
TORCH_GLOBALS = _table(_TORCH_FILES)
"""What files of `torch.save` name (FORMATS §3), those nested in a pickle included."""
