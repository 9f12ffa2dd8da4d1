"""A pickle interpreter that runs nothing: no import, no call but to the constructors of `inert`.

Python's own unpickler resolves names by importing modules and calls what it finds. This one interprets the opcodes
of protocols 0 to 5 itself, over values it knows: a name is looked up in a fixed table or refused, a call reaches an
inert constructor or is refused, and long strings stay in the file. The format is described in Python's `pickletools`.
"""

from __future__ import annotations

import codecs
import os
import pickle
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from dragspace_jax.convert.check import ConvertError, RefusedError
from dragspace_jax.convert.inert import Instance, Named
from dragspace_jax.convert.opcodes import MARK, OPERATIONS
from dragspace_jax.convert.stored import Dtype, FileSpan, StoredArray

_LONGEST_INLINE = 256  # longer strings stay in the file, so that a short file cannot fill the memory with copies
_LONGEST_LINE = 4096
_MOST_OPCODES = 5_000_000
_KEYS = (str, int, float, bool, bytes, type(None))
_TRUNCATED = "the file ends early: it is truncated"
_PYTHON2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class Malformed(Exception):
    """Raised inside the machine; `load` gives it the position."""


def _label(value: object) -> str:
    return value.name if isinstance(value, Named) else f"a {type(value).__name__}"


class Machine:
    """Reads one pickle from a stream.

    Args:
      stream: where it lies; it must stay open for as long as the arrays of the result shall be read.
      allowed: the names it may use.
      storages: gives the storage of a persistent id, the mark by which a torch file refers to one; None: refused.
    """

    def __init__(
        self,
        stream: BinaryIO,
        allowed: Mapping[str, Named],
        *,
        storages: Callable[[object], object] | None = None,
    ) -> None:
        self._stream, self._allowed, self._storages = stream, allowed, storages
        position = stream.tell()
        self._end = stream.seek(0, os.SEEK_END)
        stream.seek(position)
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The value, made of plain Python values and those of `inert`.

        Raises:
          RefusedError: a name that is not allowed, or a call of something else; the message names it.
          ConvertError: the stream ends early, or is not a pickle.
        """
        try:
            for _ in range(_MOST_OPCODES):
                code = self.take(1)
                if code == pickle.STOP:
                    return self.pop()
                operation = OPERATIONS.get(code)
                if operation is None:
                    raise Malformed(f"there is no opcode {code!r}")
                operation(self)
        except RefusedError:
            raise
        except (Malformed, IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
            if isinstance(error, ConvertError):
                raise
            raise ConvertError(f"not a readable pickle (near byte {self._stream.tell()}: {error})") from error
        raise RefusedError(f"the pickle takes more than {_MOST_OPCODES} steps; no checkpoint does")

    def take(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) < length:
            raise ConvertError(_TRUNCATED)
        return data

    def take_number(self, layout: str) -> int:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def take_line(self) -> str:
        line = self._stream.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise Malformed("a line is too long")
        if not line.endswith(b"\n"):
            raise ConvertError(_TRUNCATED)
        return line[:-1].decode("utf-8")

    def push(self, value: object) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is MARK:
            raise Malformed("a mark stands where a value should")
        return value

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not MARK:
            at -= 1
            if at < 0:
                raise Malformed("a mark is missing")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def push_string(self, layout: str, *, is_text: bool) -> None:
        length = self.take_number(layout)
        if length < 0:
            raise Malformed("a string has a negative length")
        if length <= _LONGEST_INLINE:
            data = self.take(length)
            self.push(data.decode("utf-8", "surrogatepass") if is_text else data)
            return
        offset = self._stream.tell()
        if length > self._end - offset:
            raise ConvertError(_TRUNCATED)
        self._stream.seek(offset + length)
        self.push(FileSpan(self._stream, offset, length, is_text=False))

    def push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedError("the pickle asks for a global whose name is no text")
        path = f"{_PYTHON2_MODULES.get(module, module)}.{name}"
        if not path.isprintable():
            raise Malformed("a global's name is no text")
        if path not in self._allowed:
            raise RefusedError(f"the pickle asks for {path}, which no checkpoint needs; refused, nothing of it was run")
        self.push(self._allowed[path])

    def call(self, target: object, arguments: object, keywords: object = None) -> None:
        if not isinstance(target, Named) or target.make is None or not isinstance(arguments, tuple) or keywords:
            raise RefusedError(f"the pickle calls {_label(target)} in a way that no checkpoint needs; refused")
        self.push(target.make(*arguments))

    def call_by_name(self) -> None:
        self.push_global(self.take_line(), self.take_line())
        target = self.pop()
        self.call(target, tuple(self.pop_to_mark()))

    def call_marked(self) -> None:
        target, *arguments = self.pop_to_mark()
        self.call(target, tuple(arguments))

    def reduce(self) -> None:
        arguments, target = self.pop(), self.pop()
        self.call(target, arguments)

    def reduce_with_keywords(self) -> None:
        keywords, arguments, target = self.pop(), self.pop(), self.pop()
        self.call(target, arguments, keywords)

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Dtype | StoredArray | Instance):
            target.build(state)
        elif not isinstance(target, dict):  # a dict's own attributes (torch's `_metadata`) mean nothing here
            raise RefusedError(f"the pickle sets the state of {_label(target)}, which no checkpoint needs; refused")

    def push_persistent(self, identifier: object) -> None:
        if self._storages is None:
            raise RefusedError("the pickle refers to something outside itself (a persistent id); refused")
        self.push(self._storages(identifier))

    def refuse_extension(self) -> None:
        raise RefusedError("the pickle uses the extension registry (copyreg); refused")

    def refuse_buffer(self) -> None:
        raise RefusedError("the pickle refers to a buffer outside itself; refused")

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Malformed("something else than a list is appended to")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise Malformed("items are set of something else than a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise Malformed("a dict's key is neither text nor number")
            target[key] = value

    def push_tuple(self, length: int) -> None:
        values = [self.pop() for _ in range(length)]
        self.push(tuple(reversed(values)))

    def push_dict(self) -> None:
        values = self.pop_to_mark()
        self.push({})
        self.set_items(values)

    def push_integer_line(self) -> None:
        line = self.take_line()
        self.push({"00": False, "01": True}[line] if line in ("00", "01") else int(line.rstrip("L")))

    def push_text_line(self) -> None:
        self.push(codecs.escape_decode(self.take_line().strip()[1:-1])[0].decode("latin-1"))

    def push_long(self, layout: str) -> None:
        length = self.take_number(layout)
        if not 0 <= length <= _LONGEST_INLINE:
            raise Malformed("a number is too long")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]
