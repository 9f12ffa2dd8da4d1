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

from dragspace_jax.convert.check import ConvertError
from dragspace_jax.convert.inert import Dtype, FileSpan, Instance, Named, StoredArray

_LONGEST_INLINE = 256  # longer strings stay in the file, so that a short file cannot fill the memory with copies
_LONGEST_LINE = 4096
_MOST_OPCODES = 5_000_000
_KEYS = (str, int, float, bool, bytes, type(None))
_MARK = object()
_TRUNCATED = "the file ends early: it is truncated"
_PYTHON2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}


class RefusedError(ConvertError):
    """The pickle names or does something that no checkpoint needs."""


class Malformed(Exception):
    """Raised inside the machine; `load` gives it the position."""


class Machine:
    """Reads one pickle from a stream.

    Args:
      stream: where it lies; it must stay open for as long as the arrays of the result shall be read.
      allowed: the names it may use.
      with_storages: whether persistent ids are allowed, the marks by which a torch file refers to its storages.
    """

    def __init__(self, stream: BinaryIO, allowed: Mapping[str, Named], *, with_storages: bool = False) -> None:
        self._stream, self._allowed, self._with_storages = stream, allowed, with_storages
        position = stream.tell()
        self._end = stream.seek(0, os.SEEK_END)
        stream.seek(position)
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The value, made of plain Python values and those of `inert`.

        Raises:
          RefusedError: a name that is not allowed, or a call of something else; the message names it.
          ConvertError: the stream ends early, or is not a pickle.
        """
        try:
            for _ in range(_MOST_OPCODES):
                code = self._read(1)
                if code == pickle.STOP:
                    return self._pop()
                operation = _OPERATIONS.get(code)
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

    def _read(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) < length:
            raise ConvertError(_TRUNCATED)
        return data

    def _number(self, layout: str) -> int:
        return struct.unpack(layout, self._read(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        line = self._stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise (ConvertError(_TRUNCATED) if len(line) < _LONGEST_LINE else Malformed("line"))
        return line[:-1].decode("utf-8")

    def _push(self, value: object) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise Malformed("a mark stands where a value should")
        return value

    def _pop_to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while self._stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise Malformed("a mark is missing")
        values = self._stack[at + 1 :]
        del self._stack[at:]
        return values

    def _string(self, layout: str, *, is_text: bool) -> None:
        length = self._number(layout)
        if length <= _LONGEST_INLINE:
            data = self._read(length)
            self._push(data.decode("utf-8", "surrogatepass") if is_text else data)
            return
        offset = self._stream.tell()
        if length > self._end - offset:
            raise ConvertError(_TRUNCATED)
        self._stream.seek(offset + length)
        self._push(FileSpan(self._stream, offset, length, is_text=False))

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedError("the pickle asks for a global whose name is no text")
        path = f"{_PYTHON2_MODULES.get(module, module)}.{name}"
        if not path.isprintable():
            raise Malformed("a global's name is no text")
        if path not in self._allowed:
            raise RefusedError(
                f"the pickle asks for {path}, which no checkpoint needs; refused, and nothing of it was run"
            )
        self._push(self._allowed[path])

    def _call(self, target: object, arguments: object, keywords: object = None) -> None:
        if not isinstance(target, Named) or target.make is None or not isinstance(arguments, tuple) or keywords:
            name = target.name if isinstance(target, Named) else f"a {type(target).__name__}"
            raise RefusedError(f"the pickle calls {name} in a way that no checkpoint needs; refused")
        self._push(target.make(*arguments))

    def _instance(self) -> None:
        self._global(self._line(), self._line())
        target = self._pop()
        self._call(target, tuple(self._pop_to_mark()))

    def _object(self) -> None:
        target, *arguments = self._pop_to_mark()
        self._call(target, tuple(arguments))

    def _reduce(self) -> None:
        arguments, target = self._pop(), self._pop()
        self._call(target, arguments)

    def _new_with_keywords(self) -> None:
        keywords, arguments, target = self._pop(), self._pop(), self._pop()
        self._call(target, arguments, keywords)

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, Dtype | StoredArray | Instance):
            target.build(state)
        elif not isinstance(target, dict):  # a dict's own attributes (torch's `_metadata`) mean nothing here
            raise RefusedError(
                f"the pickle sets the state of {getattr(target, 'name', type(target).__name__)}; refused"
            )

    def _persistent(self, _identifier: object) -> None:
        if not self._with_storages:
            raise RefusedError("the pickle refers to something outside itself (a persistent id); refused")
        self._push(None)

    def _extension(self) -> None:
        raise RefusedError("the pickle uses the extension registry (copyreg); refused")

    def _buffer(self) -> None:
        raise RefusedError("the pickle refers to a buffer outside itself; refused")

    def _append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise Malformed("something else than a list is appended to")
        target.extend(values)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise Malformed("items are set of something else than a dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise Malformed("a dict's key is neither text nor number")
            target[key] = value

    def _tuple(self, length: int) -> None:
        values = [self._pop() for _ in range(length)]
        self._push(tuple(reversed(values)))

    def _dict(self) -> None:
        values = self._pop_to_mark()
        self._push({})
        self._set_items(values)

    def _integer_line(self) -> None:
        line = self._line()
        self._push({"00": False, "01": True}[line] if line in ("00", "01") else int(line.rstrip("L")))

    def _text_line(self) -> None:
        self._push(codecs.escape_decode(self._line().strip()[1:-1])[0].decode("latin-1"))

    def _long(self, layout: str) -> None:
        length = self._number(layout)
        if not 0 <= length <= _LONGEST_INLINE:
            raise Malformed("a number is too long")
        self._push(int.from_bytes(self._read(length), "little", signed=True))

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]


def _operations() -> dict[bytes, Callable[[Machine], Any]]:
    """What each opcode does; `m` is the machine."""
    p = pickle
    return {
        p.PROTO: lambda m: m._read(1),
        p.FRAME: lambda m: m._read(8),
        p.MARK: lambda m: m._push(_MARK),
        p.POP: lambda m: m._stack.pop(),
        p.POP_MARK: lambda m: m._pop_to_mark(),
        p.DUP: lambda m: m._push(m._stack[-1]),
        p.NONE: lambda m: m._push(None),
        p.NEWTRUE: lambda m: m._push(True),
        p.NEWFALSE: lambda m: m._push(False),
        p.INT: Machine._integer_line,
        p.LONG: Machine._integer_line,
        p.BININT: lambda m: m._push(m._number("<i")),
        p.BININT1: lambda m: m._push(m._number("<B")),
        p.BININT2: lambda m: m._push(m._number("<H")),
        p.LONG1: lambda m: m._long("<B"),
        p.LONG4: lambda m: m._long("<i"),
        p.FLOAT: lambda m: m._push(float(m._line())),
        p.BINFLOAT: lambda m: m._push(m._number(">d")),
        p.STRING: Machine._text_line,
        p.UNICODE: lambda m: m._push(m._line()),
        p.BINSTRING: lambda m: m._string("<i", is_text=True),
        p.SHORT_BINSTRING: lambda m: m._string("<B", is_text=True),
        p.BINUNICODE: lambda m: m._string("<I", is_text=True),
        p.SHORT_BINUNICODE: lambda m: m._string("<B", is_text=True),
        p.BINUNICODE8: lambda m: m._string("<Q", is_text=True),
        p.BINBYTES: lambda m: m._string("<I", is_text=False),
        p.SHORT_BINBYTES: lambda m: m._string("<B", is_text=False),
        p.BINBYTES8: lambda m: m._string("<Q", is_text=False),
        p.BYTEARRAY8: lambda m: m._string("<Q", is_text=False),
        p.NEXT_BUFFER: Machine._buffer,
        p.READONLY_BUFFER: Machine._buffer,
        p.EMPTY_TUPLE: lambda m: m._push(()),
        p.TUPLE: lambda m: m._push(tuple(m._pop_to_mark())),
        p.TUPLE1: lambda m: m._tuple(1),
        p.TUPLE2: lambda m: m._tuple(2),
        p.TUPLE3: lambda m: m._tuple(3),
        p.EMPTY_LIST: lambda m: m._push([]),
        p.LIST: lambda m: m._push(m._pop_to_mark()),
        p.APPEND: lambda m: m._append([m._pop()]),
        p.APPENDS: lambda m: m._append(m._pop_to_mark()),
        p.EMPTY_DICT: lambda m: m._push({}),
        p.DICT: Machine._dict,
        p.SETITEM: lambda m: m._set_items([m._pop(), m._pop()][::-1]),
        p.SETITEMS: lambda m: m._set_items(m._pop_to_mark()),
        p.EMPTY_SET: lambda m: m._push(None),  # sets are a torch module's bookkeeping and never looked at
        p.ADDITEMS: lambda m: m._pop_to_mark(),
        p.FROZENSET: lambda m: (m._pop_to_mark(), m._push(None)),
        p.GET: lambda m: m._push(m._memo[int(m._line())]),
        p.BINGET: lambda m: m._push(m._memo[m._number("<B")]),
        p.LONG_BINGET: lambda m: m._push(m._memo[m._number("<I")]),
        p.PUT: lambda m: m._put(int(m._line())),
        p.BINPUT: lambda m: m._put(m._number("<B")),
        p.LONG_BINPUT: lambda m: m._put(m._number("<I")),
        p.MEMOIZE: lambda m: m._put(len(m._memo)),
        p.GLOBAL: lambda m: m._global(m._line(), m._line()),
        p.STACK_GLOBAL: lambda m: m._global(*[m._pop(), m._pop()][::-1]),
        p.INST: Machine._instance,
        p.OBJ: Machine._object,
        p.REDUCE: Machine._reduce,
        p.NEWOBJ: Machine._reduce,
        p.NEWOBJ_EX: Machine._new_with_keywords,
        p.BUILD: Machine._build,
        p.PERSID: lambda m: m._persistent(m._line()),
        p.BINPERSID: lambda m: m._persistent(m._pop()),
        p.EXT1: Machine._extension,
        p.EXT2: Machine._extension,
        p.EXT4: Machine._extension,
    }


_OPERATIONS = _operations()
