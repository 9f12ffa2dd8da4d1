"""Programs kept between runs as JAX lowered them, beside the compiled ones in JAX's compilation cache.

To ask that cache for a program, JAX needs it lowered, and tracing and lowering a drag takes longer than all that the
cache then has to do. So what `jax.export` makes of a program is kept as well: StableHLO, data that is read and never
run as Python, under a name that tells everything it was made from. Where the compilation cache is off, or something
unknown takes part, a program is traced as ever.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dragspace_jax.folders import whole_file

_FOLDER = "lowered"  # in that of the compilation cache
_MOST = 256  # files; each new version of the package leaves its own behind
_LIBRARIES = ("jax", "jaxlib", "flax", "optax")
_KNOWN = ("builtins", "collections", "dragspace_jax", *_LIBRARIES)
"""Packages whose classes take part in programs: of others nothing would tell that their code has changed."""
_WITHOUT_EFFECT = (
    "jax_log_", "jax_explain_", "jax_compilation_cache_", "jax_persistent_cache_", "jax_enable_compilation_cache"
)  # fmt: skip
"""Beginnings of JAX's settings that change no program."""
_DIGEST = hashlib.sha256().digest_size


class KeptJit:
    """`jax.jit` of a function of pytrees of arrays, whose lowered programs are kept.

    Args:
      function: gives a pytree of arrays.
      name: of the function and whatever it is bound to: two that compute different things have different names. None:
        nothing is kept.
      results: the function's arguments → any pytree with the structure of its results, without computing them.
      donate_argnums: as `jax.jit` has it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None,
        results: Callable[..., Any],
        donate_argnums: tuple[int, ...] = (),
    ) -> None:
        self._function, self._name, self._results, self._donated = function, name, results, donate_argnums
        self._traced = jax.jit(function, donate_argnums=donate_argnums)
        self._programs: dict[Any, Any] = {}

    def __call__(self, *args: Any) -> Any:
        """What the function gives."""
        program = self._program(args)
        if program is None:
            return self._traced(*args)
        return self._whole(program(*jax.tree.leaves(args)), args)

    def compiled(self, *args: Any) -> tuple[Callable[..., Any], jax.stages.Compiled]:
        """The program for such arguments, or for shapes: as a function of the arguments, and as the compiler gives it.

        The shapes' shardings hold for the arguments.
        """
        program = self._program(args)
        if program is None:
            compiled = self._traced.lower(*args).compile()
            return compiled, compiled
        compiled = program.lower(*jax.tree.leaves(args)).compile()
        return lambda *args: self._whole(compiled(*jax.tree.leaves(args)), args), compiled

    def lowered(self, *args: Any) -> jax.stages.Lowered:
        """The program for such arguments, or for shapes, traced now whatever is kept: for those who look at it."""
        return self._traced.lower(*args)

    def preload(self, *args: Any) -> None:
        """Load the program for such arguments, or for shapes, if an earlier run kept it; else nothing is done.

        Most of the time it takes other threads can run Python.
        """
        program = self._program(args, make=False)
        if program is not None:
            program.lower(*jax.tree.leaves(args)).compile()

    def _whole(self, leaves: list[Any], args: tuple[Any, ...]) -> Any:
        return jax.tree.unflatten(jax.tree.structure(self._results(*args)), leaves)

    def _program(self, args: tuple[Any, ...], *, make: bool = True) -> Any:
        """The lowered program as a jitted function of the arguments' leaves; None: there is none to be kept.

        Without `make` also None: no earlier run has kept it.
        """
        folder = _folder()
        if self._name is None or folder is None:
            return None
        leaves, structure = jax.tree.flatten(args)
        shapes = [jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype) for leaf in leaves]
        key = structure, tuple((shape.shape, shape.dtype) for shape in shapes), _jax_settings()
        if key not in self._programs:
            program = self._jitted(self._name, args, structure, shapes, folder, make)
            if program is None and not make:
                return None
            self._programs[key] = program
        return self._programs[key]

    def _jitted(
        self, name: str, args: tuple[Any, ...], structure: Any, shapes: list[Any], folder: Path, make: bool
    ) -> Any:
        platform = _platform(args)
        described = f"{name} {platform} {self._donated} {structure} {[str(shape) for shape in shapes]}"
        if not _is_known(structure) or re.search(r" at 0x[0-9a-f]", described):
            return None
        digest = hashlib.sha256("\n".join((described, *_circumstances())).encode()).hexdigest()
        path = folder / f"{name.split()[0]}-{digest}"
        exported = _read(path)
        if exported is None and not make:
            return None
        if exported is None:
            exported = self._export(structure, shapes, platform)
            _write(path, exported)
        counts = [len(jax.tree.leaves(arg)) for arg in args]
        donated = [sum(counts[:n]) + i for n in self._donated for i in range(counts[n])]
        return jax.jit(exported.call, donate_argnums=tuple(donated))

    def _export(self, structure: Any, shapes: list[Any], platform: str) -> jax.export.Exported:
        def flat(*leaves: jax.Array) -> list[jax.Array]:
            args = jax.tree.unflatten(structure, leaves)
            found, given = jax.tree.flatten(self._function(*args))
            expected = jax.tree.structure(self._results(*args))
            assert given == expected, f"{self._name}: `results` says {expected}, the function gives {given}"
            return found

        return jax.export.export(jax.jit(flat, keep_unused=True), platforms=(platform,))(*shapes)


def _folder() -> Path | None:
    """Where programs are kept; None: nowhere."""
    name = jax.config.values["jax_compilation_cache_dir"]
    if not name or not jax.config.values["jax_enable_compilation_cache"] or "://" in name:
        return None
    return Path(name) / _FOLDER


def _platform(args: tuple[Any, ...]) -> str:
    """That of the devices on which the arguments lie, or will lie."""
    shardings = (getattr(leaf, "sharding", None) for leaf in jax.tree.leaves(args))
    devices = (device for sharding in shardings if sharding is not None for device in sharding.device_set)
    platform = next((str(device.platform) for device in devices), jax.default_backend())
    return "cuda" if platform == "gpu" else platform


def _is_known(structure: Any) -> bool:
    """Whether all classes of a pytree belong to packages whose versions the key names."""
    node = structure.node_data()
    if node is not None and node[0].__module__.partition(".")[0] not in _KNOWN:
        return False
    return all(map(_is_known, structure.children()))


def _circumstances() -> Iterator[str]:
    """What else decides how a function is lowered: the code, that of the libraries, and the settings of JAX."""
    yield _own_code()
    yield from (f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES)
    yield _jax_settings()


def _jax_settings() -> str:
    """The settings of JAX, those of the present context included, but for what it says of its work and keeps of it."""
    settings = sorted(jax.config.values.items())
    return repr([(name, value) for name, value in settings if not name.startswith(_WITHOUT_EFFECT)])


@functools.cache
def _own_code() -> str:
    """A hash of this package's sources: a version would not tell what changes while it is worked on."""
    root = Path(__file__).parent
    whole = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        whole.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()


def _read(path: Path) -> jax.export.Exported | None:
    """A kept program; None: there is none, or a damaged one, which is then written again."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[_DIGEST:]).digest() != content[:_DIGEST]:
        return None
    return jax.export.deserialize(bytearray(content[_DIGEST:]))


def _write(path: Path, exported: jax.export.Exported) -> None:
    """Keep a program, if there is room for it; without it the next start takes longer and is otherwise the same."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = exported.serialize()
        with whole_file(path) as file:
            file.write(hashlib.sha256(content).digest() + content)
        written = sorted(path.parent.iterdir(), key=lambda each: each.stat().st_mtime)
        for old in written[:-_MOST]:
            old.unlink(missing_ok=True)
