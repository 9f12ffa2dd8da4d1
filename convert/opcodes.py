"""The opcodes of pickle protocols 0 to 5, in terms of the machine's few steps (described in Python's `pickletools`)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

MARK = object()


def _operations() -> dict[bytes, Callable[[Any], object]]:
    """What each opcode does; `m` is the machine, which imports this module."""
    p = pickle
    return {
        p.PROTO: lambda m: m.take(1),
        p.FRAME: lambda m: m.take(8),
        p.MARK: lambda m: m.push(MARK),
        p.POP: lambda m: m.stack.pop(),
        p.POP_MARK: lambda m: m.pop_to_mark(),
        p.DUP: lambda m: m.push(m.stack[-1]),
        p.NONE: lambda m: m.push(None),
        p.NEWTRUE: lambda m: m.push(True),
        p.NEWFALSE: lambda m: m.push(False),
        p.INT: lambda m: m.push_integer_line(),
        p.LONG: lambda m: m.push_integer_line(),
        p.BININT: lambda m: m.push(m.take_number("<i")),
        p.BININT1: lambda m: m.push(m.take_number("<B")),
        p.BININT2: lambda m: m.push(m.take_number("<H")),
        p.LONG1: lambda m: m.push_long("<B"),
        p.LONG4: lambda m: m.push_long("<i"),
        p.FLOAT: lambda m: m.push(float(m.take_line())),
        p.BINFLOAT: lambda m: m.push(m.take_number(">d")),
        p.STRING: lambda m: m.push_text_line(),
        p.UNICODE: lambda m: m.push(m.take_line()),
        p.BINSTRING: lambda m: m.push_string("<i", is_text=True),
        p.SHORT_BINSTRING: lambda m: m.push_string("<B", is_text=True),
        p.BINUNICODE: lambda m: m.push_string("<I", is_text=True),
        p.SHORT_BINUNICODE: lambda m: m.push_string("<B", is_text=True),
        p.BINUNICODE8: lambda m: m.push_string("<Q", is_text=True),
        p.BINBYTES: lambda m: m.push_string("<I", is_text=False),
        p.SHORT_BINBYTES: lambda m: m.push_string("<B", is_text=False),
        p.BINBYTES8: lambda m: m.push_string("<Q", is_text=False),
        p.BYTEARRAY8: lambda m: m.push_string("<Q", is_text=False),
        p.NEXT_BUFFER: lambda m: m.refuse_buffer(),
        p.READONLY_BUFFER: lambda m: m.refuse_buffer(),
        p.EMPTY_TUPLE: lambda m: m.push(()),
        p.TUPLE: lambda m: m.push(tuple(m.pop_to_mark())),
        p.TUPLE1: lambda m: m.push_tuple(1),
        p.TUPLE2: lambda m: m.push_tuple(2),
        p.TUPLE3: lambda m: m.push_tuple(3),
        p.EMPTY_LIST: lambda m: m.push([]),
        p.LIST: lambda m: m.push(m.pop_to_mark()),
        p.APPEND: lambda m: m.append([m.pop()]),
        p.APPENDS: lambda m: m.append(m.pop_to_mark()),
        p.EMPTY_DICT: lambda m: m.push({}),
        p.DICT: lambda m: m.push_dict(),
        p.SETITEM: lambda m: m.set_items([m.pop(), m.pop()][::-1]),
        p.SETITEMS: lambda m: m.set_items(m.pop_to_mark()),
        p.EMPTY_SET: lambda m: m.push(None),  # sets are a torch module's bookkeeping and never looked at
        p.ADDITEMS: lambda m: m.pop_to_mark(),
        p.FROZENSET: lambda m: (m.pop_to_mark(), m.push(None)),
        p.GET: lambda m: m.push(m.memo[int(m.take_line())]),
        p.BINGET: lambda m: m.push(m.memo[m.take_number("<B")]),
        p.LONG_BINGET: lambda m: m.push(m.memo[m.take_number("<I")]),
        p.PUT: lambda m: m.remember(int(m.take_line())),
        p.BINPUT: lambda m: m.remember(m.take_number("<B")),
        p.LONG_BINPUT: lambda m: m.remember(m.take_number("<I")),
        p.MEMOIZE: lambda m: m.remember(len(m.memo)),
        p.GLOBAL: lambda m: m.push_global(m.take_line(), m.take_line()),
        p.STACK_GLOBAL: lambda m: m.push_global(*[m.pop(), m.pop()][::-1]),
        p.INST: lambda m: m.call_by_name(),
        p.OBJ: lambda m: m.call_marked(),
        p.REDUCE: lambda m: m.reduce(),
        p.NEWOBJ: lambda m: m.reduce(),
        p.NEWOBJ_EX: lambda m: m.reduce_with_keywords(),
        p.BUILD: lambda m: m.build(),
        p.PERSID: lambda m: m.push_persistent(m.take_line()),
        p.BINPERSID: lambda m: m.push_persistent(m.pop()),
        p.EXT1: lambda m: m.refuse_extension(),
        p.EXT2: lambda m: m.refuse_extension(),
        p.EXT4: lambda m: m.refuse_extension(),
    }


OPERATIONS = _operations()
