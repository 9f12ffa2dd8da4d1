"""Arrays that still lie in their file: shapes are known, values are read on demand.

Only plain numbers exist here: whatever a description asks for beyond them is refused.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

from dragspace_jax.convert.check import ConvertError, RefusedError, shown
from dragspace_jax.convert.names import Shape

STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "<u2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
_LARGEST = 2**40  # elements; no checkpoint comes near, and byte counts stay far within 64 bits


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


def bytes_of(data: object) -> bytes:
    """The bytes that a pickle's value stands for. Raises ConvertError if it stands for none."""
    if isinstance(data, FileSpan):
        return data.read()
    if isinstance(data, bytes | bytearray):
        return bytes(data)
    raise ConvertError(f"an array's data is a {type(data).__name__}, not bytes")


def _lengths(lengths: object) -> Shape:
    if not isinstance(lengths, tuple) or len(lengths) > 8:
        raise ConvertError("an array has a shape that is none")
    if not all(type(n) is int and 0 <= n < _LARGEST for n in lengths):
        raise ConvertError("an array has a shape or strides out of all range")
    return lengths


def _shape(shape: object) -> Shape:
    # NumPy multiplies the lengths of an empty array as well, all but the zeros, and must not overflow.
    if math.prod(n for n in _lengths(shape) if n) >= _LARGEST:
        raise ConvertError("an array has a shape out of all range")
    return _lengths(shape)


class Dtype:
    """A NumPy type of plain numbers."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?(b1|[iu][1248]|f[248])", code):
            raise RefusedError(f"numpy.dtype({shown(code)}) is refused: only plain numbers are read")
        self.value = np.dtype(code)

    def build(self, state: object) -> None:
        """(version, byte order, subarray, names, fields, …)."""
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise RefusedError("numpy.dtype with fields is refused: only plain numbers are read")
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
        stated = data.length if isinstance(data, FileSpan) else len(bytes_of(data))
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
            flat = np.frombuffer(bytes_of(self._data), self._dtype)
            return flat.reshape(self.shape, order="F" if self._order == "F" else "C")
        except ValueError as error:
            raise ConvertError(f"an array of shape {list(self.shape)} has other data: {error}") from error


class StoredStorage:
    """The numbers of one or several torch tensors, in the file.

    Attributes:
      size: number of elements.
      fetch: reads the bytes; set by whoever knows where they lie.
    """

    def __init__(self, kind: str, size: int) -> None:
        if kind not in STORAGES:
            raise ConvertError(f"{kind} is not a kind of storage")
        self._is_bfloat16 = kind == "torch.BFloat16Storage"
        self._dtype = np.dtype(STORAGES[kind])
        self.size = size
        self.fetch: Callable[[], bytes] | None = None

    @property
    def nbytes(self) -> int:
        return self.size * self._dtype.itemsize

    def read(self) -> np.ndarray:
        """All elements, [size]; bfloat16, which NumPy lacks, becomes float32."""
        if self.fetch is None:
            raise ConvertError("a torch storage lies nowhere in the file")
        try:
            flat = np.frombuffer(self.fetch(), self._dtype, self.size)
        except ValueError as error:
            raise ConvertError(f"a torch storage of {self.size} elements is cut short") from error
        return (flat.astype("<u4") << 16).view("<f4") if self._is_bfloat16 else flat


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """A view of a torch storage; offset and strides in elements."""

    storage: StoredStorage
    offset: int
    shape: Shape
    stride: Shape

    @classmethod
    def rebuild(cls, storage: object, offset: object, size: object, stride: object, *_: object) -> StoredTensor:
        """The arguments of torch's function of that name; whether gradients were wanted and hooks follow.

        Raises:
          ConvertError: the view reaches beyond its storage, or repeats its elements.
        """
        shape, steps = _shape(size), _lengths(stride)
        if not isinstance(storage, StoredStorage) or type(offset) is not int or offset < 0 or len(shape) != len(steps):
            raise ConvertError("a tensor is described in another way than torch does")
        # The stride of an axis of length 1 says nothing.
        steps = tuple(0 if n == 1 else step for n, step in zip(shape, steps, strict=True))
        last = offset + sum((n - 1) * step for n, step in zip(shape, steps, strict=True))
        if 0 not in shape and (last >= storage.size or math.prod(shape) > storage.size):
            raise ConvertError(f"a tensor of shape {list(shape)} reaches beyond its storage of {storage.size}")
        return cls(storage, offset, shape, steps)

    def read(self) -> np.ndarray:
        flat = self.storage.read()
        steps = [step * flat.itemsize for step in self.stride]
        if 0 in self.shape:
            return np.zeros(self.shape, flat.dtype)
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps, writeable=False)
