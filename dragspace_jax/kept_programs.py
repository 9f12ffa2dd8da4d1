"""Programs kept between runs as JAX lowered them, beside the compiled ones in JAX's compilation cache.

To ask that cache for a program, JAX needs it lowered, and tracing and lowering a drag takes longer than all that the
cache then has to do. So what `jax.export` makes of a program is kept as well: StableHLO, data that is read and never
run as Python, under a name that tells everything it was made from. Where the compilation cache is off, or something
unknown takes part, a program is traced as ever.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from dragspace_jax import loading_ahead, lowered_files
from dragspace_jax.placement import present_device

_LIBRARIES = ("jax", "jaxlib", "flax", "optax")
_KNOWN = ("builtins", "collections", "dragspace_jax", *_LIBRARIES)
"""Packages whose classes take part in programs: of others nothing would tell that their code has changed."""
_WITHOUT_EFFECT = (
    "jax_log_", "jax_explain_", "jax_compilation_cache_", "jax_persistent_cache_", "jax_enable_compilation_cache"
)  # fmt: skip
"""Beginnings of JAX's settings that change no program."""


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
        ahead = isinstance(program, jax.stages.Compiled)
        compiled = program if ahead else program.lower(*jax.tree.leaves(args)).compile()
        return lambda *args: self._whole(compiled(*jax.tree.leaves(args)), args), compiled

    def lowered(self, *args: Any) -> jax.stages.Lowered:
        """The program for such arguments, or for shapes, traced now whatever is kept: for those who look at it."""
        return self._traced.lower(*args)

    def _whole(self, leaves: list[Any], args: tuple[Any, ...]) -> Any:
        return jax.tree.unflatten(jax.tree.structure(self._results(*args)), leaves)

    def _program(self, args: tuple[Any, ...]) -> Any:
        """The program as a function of the arguments' leaves, jitted or compiled; None: there is none to be kept."""
        folder = lowered_files.folder()
        if self._name is None or folder is None:
            return None
        leaves, structure = jax.tree.flatten(args)
        shapes = [jax.ShapeDtypeStruct(np.shape(leaf), leaf.dtype) for leaf in leaves]
        devices = _devices(leaves)
        key = structure, tuple((shape.shape, shape.dtype) for shape in shapes), devices, _jax_settings()
        if key not in self._programs:
            self._programs[key] = self._found(self._name, args, structure, shapes, devices, folder)
        return self._programs[key]

    def _found(
        self,
        name: str,
        args: tuple[Any, ...],
        structure: Any,
        shapes: list[Any],
        devices: frozenset[Any],
        folder: Path,
    ) -> Any:
        platform = _platform(devices)
        described = f"{name} {platform} {self._donated} {structure} {[str(shape) for shape in shapes]}"
        if not _is_known(structure) or re.search(r" at 0x[0-9a-f]", described):
            return None
        digest = hashlib.sha256("\n".join((described, *_circumstances())).encode()).hexdigest()
        path = folder / f"{name.split()[0]}-{digest}"
        counts = [len(jax.tree.leaves(arg)) for arg in args]
        donated = [sum(counts[:n]) + i for n in self._donated for i in range(counts[n])]
        ahead = loading_ahead.current()
        if ahead is not None and (devices or {present_device()}) <= {jax.local_devices()[0]}:
            program = ahead.program(path.name, donated)
            if program is not None:
                return program
        exported = lowered_files.read(path)
        if exported is None:
            exported = self._export(structure, shapes, platform)
            lowered_files.write(path, exported)
        return lowered_files.jitted(exported, donated)

    def _export(self, structure: Any, shapes: list[Any], platform: str) -> jax.export.Exported:
        def flat(*leaves: jax.Array) -> list[jax.Array]:
            args = jax.tree.unflatten(structure, leaves)
            found, given = jax.tree.flatten(self._function(*args))
            expected = jax.tree.structure(self._results(*args))
            assert given == expected, f"{self._name}: `results` says {expected}, the function gives {given}"
            return found

        return jax.export.export(jax.jit(flat, keep_unused=True), platforms=(platform,))(*shapes)


def _devices(leaves: list[Any]) -> frozenset[Any]:
    """Those on which the arguments lie, or will lie; none: nobody said."""
    shardings = (getattr(leaf, "sharding", None) for leaf in leaves)
    return frozenset(device for sharding in shardings if sharding is not None for device in sharding.device_set)


def _platform(devices: frozenset[Any]) -> str:
    platform = next((str(device.platform) for device in devices), present_device().platform)
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
