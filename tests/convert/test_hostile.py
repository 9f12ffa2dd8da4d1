"""Files that want to run something: each is refused by the offending name, and nothing of it runs."""

from __future__ import annotations

import copyreg
import functools
import io
import os
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dragspace_jax.convert import ConvertError, convert
from dragspace_jax.convert.check import RefusedError

from .networks import small_discriminator, small_generator
from .write_nvlabs import published_modules, snapshot, write


class Calls:
    """Reduces to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


def innocent(path: str) -> None:
    """What a class of the file's own might do."""
    Path(path).touch()


@pytest.fixture
def witness(tmp_path) -> Path:
    """A file that every attack below would make."""
    return tmp_path / "ran"


@pytest.fixture
def refused(tmp_path, witness):
    """Assert that a file is refused by a name, runs nothing and leaves nothing."""

    def check(content: bytes, name: str) -> None:
        source = tmp_path / "hostile.pkl"
        source.write_bytes(content)
        with pytest.raises(RefusedError if name else ConvertError) as error:
            convert(source, tmp_path / "model")
        assert name in str(error.value)
        assert "\n" not in str(error.value)
        assert not witness.exists()
        assert [entry.name for entry in tmp_path.iterdir()] == ["hostile.pkl"]

    return check


def attacks(witness: Path) -> dict[str, tuple[Any, str]]:
    path = str(witness)
    return {
        "os.system": (Calls(os.system, f"touch {path}"), f"{os.name}.system"),
        "eval": (Calls(eval, f"open({path!r}, 'w')"), "builtins.eval"),
        "exec": (Calls(exec, f"open({path!r}, 'w')"), "builtins.exec"),
        "open": (Calls(open, path, "w"), "open"),
        "a class's own function": (Calls(innocent, path), "test_hostile.innocent"),
        "subprocess": (Calls(subprocess.Popen, ["touch", path]), "Popen"),
        "partial": (functools.partial(os.system, f"touch {path}"), "functools.partial"),
        "torch.load": (Calls(torch.load, path), "torch.serialization.load"),
        "numpy.load": (Calls(np.load, path, None, True), "numpy"),
        "object array": (np.array([Calls(os.system, f"touch {path}")], dtype=object), "numpy.dtype('O8')"),
    }


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("attack", sorted(attacks(Path("x"))))
def test_calls(refused, witness, attack, protocol):
    hostile, name = attacks(witness)[attack]
    refused(pickle.dumps({"G_ema": hostile}, protocol=protocol), name)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("place", ["training_set_kwargs", "state", "argument", "D"])
def test_inside_an_otherwise_good_file(refused, tmp_path, witness, place, protocol):
    content = snapshot(small_generator(), small_discriminator())
    hostile = Calls(os.system, f"touch {witness}")
    match place:
        case "training_set_kwargs":
            content["training_set_kwargs"]["path"] = hostile
        case "state":
            content["G_ema"].at("synthesis.b8").attributes["up"] = hostile
        case "argument":
            content["G_ema"].attributes["_init_kwargs"]["z_dim"] = hostile
        case "D":
            content["D"] = hostile
    data = write(tmp_path / "hostile.pkl", content, protocol).read_bytes()
    refused(data, f"{os.name}.system")


def nested(content: bytes, protocol: int) -> bytes:
    return pickle.dumps({"G_ema": Calls(torch.storage._load_from_bytes, content)}, protocol=protocol)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("inner_protocol", [2, 4])
def test_nested_torch_file(refused, witness, protocol, zipped, inner_protocol):
    buffer = io.BytesIO()
    hostile = {"padding": "x" * 1000, "bad": Calls(os.system, f"touch {witness}")}
    torch.save(hostile, buffer, _use_new_zipfile_serialization=zipped, pickle_protocol=inner_protocol)
    refused(nested(buffer.getvalue(), protocol), "zip form" if zipped else f"{os.name}.system")


@pytest.mark.parametrize("inner", [pickle.dumps(Calls(eval, "1 + 1")), pickle.dumps(Calls(eval, "1 + 1"), 2)])
def test_nested_plain_pickle(refused, inner):
    refused(nested(inner, 3), "builtins.eval")


def test_nested_in_nested(refused, witness):
    inner = io.BytesIO()
    torch.save(Calls(os.system, f"touch {witness}"), inner, _use_new_zipfile_serialization=False)
    outer = io.BytesIO()
    hostile = Calls(torch.storage._load_from_bytes, inner.getvalue())
    torch.save(hostile, outer, _use_new_zipfile_serialization=False)
    refused(nested(outer.getvalue(), 3), "torch.storage._load_from_bytes")


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_torch_file(refused, witness, zipped):
    buffer = io.BytesIO()
    hostile = {"g_ema": {"input.input": torch.zeros(3)}, "args": Calls(eval, f"open({str(witness)!r}, 'w')")}
    torch.save(hostile, buffer, _use_new_zipfile_serialization=zipped)
    refused(buffer.getvalue(), "builtins.eval")


def test_torchscript_is_refused(refused):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({}, 2))
        archive.writestr("m/constants.pkl", pickle.dumps((), 2))
        archive.writestr("m/code/evil.py", "import os")
    refused(buffer.getvalue(), "")


def short(text: str) -> bytes:
    data = text.encode()
    return pickle.SHORT_BINUNICODE + bytes([len(data)]) + data


def program(*parts: bytes) -> bytes:
    return pickle.PROTO + b"\x04" + b"".join(parts) + pickle.STOP


@pytest.mark.parametrize(
    ("content", "name"),
    [
        # A dotted name reaches an attribute of an attribute.
        (program(short("numpy"), short("x.y"), pickle.STACK_GLOBAL), "numpy.x.y"),
        (program(short("torch"), short("serialization.os.system"), pickle.STACK_GLOBAL), "torch.serialization.os"),
        (program(short("collections"), short("OrderedDict.fromkeys"), pickle.STACK_GLOBAL), "OrderedDict.fromkeys"),
        (program(short(""), short("eval"), pickle.STACK_GLOBAL), ".eval"),
        (program(pickle.NONE, short("eval"), pickle.STACK_GLOBAL), "no text"),
        (program(b"c__builtin__\neval\n"), "builtins.eval"),
        (program(b"ccopy_reg\n_reconstructor\n"), "copyreg._reconstructor"),
        (program(short("copyreg"), short("add_extension"), pickle.STACK_GLOBAL), "copyreg.add_extension"),
        (program(pickle.EXT1 + b"\x01"), "extension registry"),
        (program(pickle.EXT2 + b"\x01\x00"), "extension registry"),
        (program(pickle.EXT4 + b"\x01\x00\x00\x00"), "extension registry"),
        (program(pickle.NEXT_BUFFER), "buffer"),
        (program(pickle.NONE, pickle.BINPERSID), "persistent id"),
        (b"P1\n.", ""),
        # Protocol 0's way of making an instance.
        (b"(S'touch x'\nios\nsystem\n.", "os.system"),
        (program(pickle.MARK, b"cos\nsystem\n", short("touch x"), pickle.OBJ), "os.system"),
        # Calling, or setting the state of, what is only a name.
        (program(b"cnumpy\nndarray\n", pickle.EMPTY_TUPLE, pickle.REDUCE), "numpy.ndarray"),
        (program(b"ctorch\nfloat32\n", pickle.EMPTY_TUPLE, pickle.NEWOBJ), "torch.float32"),
        (program(short("eval"), pickle.EMPTY_TUPLE, pickle.REDUCE), "a str"),
        (program(b"ccollections\nOrderedDict\n", pickle.EMPTY_DICT, pickle.BUILD), "collections.OrderedDict"),
        (program(b"cdnnlib.util\nEasyDict\n", pickle.NONE, pickle.EMPTY_DICT, pickle.TUPLE2, pickle.BUILD), "EasyDict"),
        (
            program(
                b"ccollections\nOrderedDict\n",
                pickle.EMPTY_TUPLE,
                pickle.EMPTY_DICT + short("maxlen") + pickle.NONE + pickle.SETITEM,
                pickle.NEWOBJ_EX,
            ),
            "collections.OrderedDict",
        ),
    ],
)
def test_by_hand(refused, content, name):
    refused(content, name)


def test_build_cannot_reach_into_the_program(tmp_path):
    """State goes into an inert value's own dict, whatever its names are."""
    state = {"__class__": 1, "__reduce__": 2, "build": 3, "state": 4}
    setting = b"".join(short(key) + pickle.BININT1 + bytes([value]) + pickle.SETITEM for key, value in state.items())
    make = b"cdnnlib.tflib.network\nNetwork\n" + pickle.EMPTY_TUPLE + pickle.NEWOBJ
    source = tmp_path / "n.pkl"
    source.write_bytes(program(make, pickle.EMPTY_DICT, setting, pickle.BUILD, pickle.DUP, pickle.DUP, pickle.TUPLE3))
    with pytest.raises(ConvertError, match="version None"):
        convert(source, tmp_path / "model")


@pytest.mark.parametrize("code", ["O", "O8", "V8", "S1000", "U10", "M8[s]", "(1000,1000,1000)f4", "f4,f4", "f16", "c8"])
def test_only_plain_number_types(refused, code):
    make = b"cnumpy\ndtype\n" + short(code) + pickle.TUPLE1 + pickle.REDUCE
    refused(program(make), "")


def test_a_type_with_fields(refused):
    make = b"cnumpy\ndtype\n" + short("f4") + pickle.TUPLE1 + pickle.REDUCE
    five = pickle.BININT1 + b"\x03" + short("|") + pickle.NONE + short("names") + pickle.NONE
    refused(program(make, pickle.MARK, five, pickle.TUPLE, pickle.BUILD), "")


def test_codecs_encode_is_for_bytes_only(refused):
    encode = b"c_codecs\nencode\n"
    refused(program(encode, short("YQ=="), short("base64"), pickle.TUPLE2, pickle.REDUCE), "")


BOMBS = {
    # Each list holds the one before ten times; nothing is copied, and nothing walks it.
    "shared lists": program(
        pickle.EMPTY_LIST,
        *(
            pickle.BINPUT
            + bytes([i])
            + pickle.EMPTY_LIST
            + pickle.MARK
            + 10 * (pickle.BINGET + bytes([i]))
            + pickle.APPENDS
            for i in range(100)
        ),
    ),
    "deep tuple": program(pickle.EMPTY_TUPLE, 200_000 * pickle.TUPLE1),
    "deep tuple as a key": program(
        pickle.EMPTY_DICT, pickle.EMPTY_TUPLE, 200_000 * pickle.TUPLE1, pickle.NONE, pickle.SETITEM
    ),
    "list in itself": program(pickle.EMPTY_LIST, pickle.DUP, pickle.APPEND),
    "huge string": program(pickle.BINBYTES8 + struct.pack("<Q", 2**62)),
    "negative string": program(pickle.BINSTRING + struct.pack("<i", -1)),
    "huge number": program(pickle.LONG4 + struct.pack("<i", 2**30)),
    "many digits": b"I" + 5000 * b"9" + b"\n.",
    "far memo": program(pickle.NONE, pickle.LONG_BINPUT + struct.pack("<I", 2**32 - 1)),
    "endless": program(6_000_000 * (pickle.NONE + pickle.POP)),
    "no stack": program(pickle.POP),
    "no mark": program(pickle.NONE, pickle.TUPLE),
    "two marks": program(pickle.MARK, pickle.MARK, pickle.APPEND),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs(refused, bomb):
    refused(BOMBS[bomb], "")


def test_modules_nested_without_end(refused):
    """A module that is its own child."""
    meta = b"".join(
        (
            b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
            pickle.EMPTY_DICT + pickle.BINPUT + b"\x01",
            short("class_name") + short("Generator") + pickle.SETITEM,
            short("state") + pickle.EMPTY_DICT + pickle.BINPUT + b"\x02" + pickle.SETITEM,
            pickle.TUPLE1 + pickle.REDUCE + pickle.BINPUT + b"\x03" + pickle.POP,
            pickle.BINGET + b"\x02" + short("_modules") + pickle.EMPTY_DICT,
            b"".join(short(name) + pickle.BINGET + b"\x03" + pickle.SETITEM for name in "abcdefghijklmnopqrst"),
            pickle.SETITEM + pickle.POP,
            pickle.EMPTY_DICT + short("G_ema") + pickle.BINGET + b"\x03" + pickle.SETITEM,
        )
    )
    refused(program(meta), "")


def test_a_tensor_beyond_its_storage(refused):
    tensor = torch.zeros(4)
    rebuild = tensor.__reduce_ex__(2)[0]  # torch._utils._rebuild_tensor_v2

    class Tensor:
        def __reduce__(self):
            return rebuild, (tensor.untyped_storage(), 0, (2**30,), (0,), False, {})

    with published_modules():
        content = pickle.dumps({"G_ema": Tensor()}, protocol=3)
    refused(content, "")


@pytest.mark.parametrize(
    ("shape", "stride"),
    [
        ((2**70, 0), (1, 1)),
        ((0, 2**62, 2**62), (1, 1, 1)),
        ((0, 2**39, 2**39), (1, 1, 1)),
        ((1,), (2**80,)),
        ((2**80,), (0,)),
    ],
)
def test_shapes_out_of_all_range(tmp_path, refused, shape, stride):
    tensor = torch.zeros(4)
    content = snapshot(small_generator(), small_discriminator())
    rebuild = tensor.__reduce_ex__(2)[0]
    storage = tensor.untyped_storage()
    typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=tensor.dtype, _internal=True)
    content["G_ema"].at("synthesis.b8.conv1").parameters["bias"] = Calls(rebuild, typed, 0, shape, stride, False, {})
    data = write(tmp_path / "hostile.pkl", content).read_bytes()
    refused(data, "")


def test_the_registries_of_this_program_are_untouched():
    assert not copyreg._extension_registry  # type: ignore[attr-defined]
