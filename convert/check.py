"""Closed both ways: every parameter of the architecture is in the file, and nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from dragspace_jax.biggan.config import BigGANConfig
from dragspace_jax.convert.names import Shape, discriminator_shapes, generator_shapes
from dragspace_jax.errors import DragspaceError
from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig

_MOST_NAMES_LISTED = 12
_LONGEST_SHOWN = 40
PLAIN = (bool, int, float, str, type(None))
Config = TypeVar("Config", GeneratorConfig, DiscriminatorConfig, BigGANConfig)


class ConvertError(DragspaceError):
    """A checkpoint that cannot be converted; the message says what is wrong with it."""


class RefusedError(ConvertError):
    """A checkpoint that names or does something that no checkpoint needs; it may be hostile."""


class Stored(Protocol):
    """An array that still lies in its file: the shape is known, the values come on demand."""

    @property
    def shape(self) -> Shape: ...

    def read(self) -> np.ndarray: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a file, with the way into our layout.

    Attributes:
      source_name: its name in the file.
      shape: its shape in our layout.
      stored: the array in the file.
      layout: from the file's layout to ours.
    """

    source_name: str
    shape: Shape
    stored: Stored
    layout: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(cls, source_name: str, stored: Stored, layout: Callable[[np.ndarray], np.ndarray]) -> Self:
        """`layout` is asked for the shape first, by an array without memory of its own; so nothing is read."""
        hollow = np.broadcast_to(np.float32(0), stored.shape)
        return cls(source_name=source_name, shape=layout(hollow).shape, stored=stored, layout=layout)

    def read(self) -> np.ndarray:
        """The values, float32, C order, our layout. Raises ConvertError if the file has no floating-point numbers."""
        values = self.stored.read()
        if values.dtype.kind != "f":
            raise ConvertError(f"parameter {self.source_name} holds {values.dtype}, not floating-point numbers")
        # asarray and not ascontiguousarray, which would make a vector of a scalar.
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which is refused later
            return np.asarray(self.layout(values), dtype=np.float32, order="C")


Found = Mapping[str, Parameter]
"""{our name: parameter}."""


def add(found: dict[str, Parameter], name: str, parameter: Parameter) -> None:
    """Raises ConvertError if another parameter of the file has got our name `name` already."""
    if name in found:
        raise ConvertError(f"{found[name].source_name} and {parameter.source_name} both stand for {name}")
    found[name] = parameter


@dataclasses.dataclass(frozen=True, kw_only=True)
class FoundNetwork(Generic[Config]):
    """A network of a file, checked against its config, not yet read."""

    config: Config
    parameters: Found

    def read(self) -> dict[str, np.ndarray]:
        """All parameters, float32, our layout. Raises ConvertError if some values are not finite."""
        values = {}
        for name, parameter in self.parameters.items():
            values[name] = parameter.read()
            if not np.isfinite(values[name]).all():
                raise ConvertError(f"parameter {parameter.source_name} holds values that are not finite")
        return values


def shown(value: object) -> str:
    """A setting as a message shows it. Only plain values are written out: others may be nested without end."""
    text = repr(value) if isinstance(value, PLAIN) else f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def listed(names: Iterable[str]) -> str:
    """The first dozen names, and how many more there are."""
    names = list(names)
    rest = len(names) - _MOST_NAMES_LISTED
    return ", ".join(names[:_MOST_NAMES_LISTED]) + (f" and {rest} more" if rest > 0 else "")


StyleConfig = TypeVar("StyleConfig", GeneratorConfig, DiscriminatorConfig)


def closed(config: StyleConfig, found: Found, unknown: Iterable[str] = ()) -> FoundNetwork[StyleConfig]:
    """The StyleGAN2 network, if its parameters are exactly those of `config`; see `closed_to`."""
    is_generator = isinstance(config, GeneratorConfig)
    table = generator_shapes(config) if is_generator else discriminator_shapes(config)
    kind = "generator" if is_generator else "discriminator"
    return closed_to(table, config, found, unknown, what=f"{config.resolution} px {config.architecture} {kind}")


def closed_to(
    table: Mapping[str, Shape], config: Config, found: Found, unknown: Iterable[str], *, what: str
) -> FoundNetwork[Config]:
    """The network, if its parameters are exactly those of a table.

    Args:
      table: {parameter name: shape in our layout}.
      config: the architecture.
      found: what the file has, by our names.
      unknown: names in the file that stand for nothing.
      what: the network in words.

    Raises:
      ConvertError: parameters that are missing, left over or misshapen; it lists them.
    """
    extra = [*unknown, *(found[name].source_name for name in found if name not in table)]
    misshapen = [
        f"{found[name].source_name} (as {name} {list(found[name].shape)}, the architecture has {list(shape)})"
        for name, shape in table.items()
        if name in found and found[name].shape != shape
    ]
    problems = {"missing": [name for name in table if name not in found], "left over": extra, "misshapen": misshapen}
    if any(problems.values()):
        text = "; ".join(f"{problem}: {listed(names)}" for problem, names in problems.items() if names)
        raise ConvertError(f"the parameters do not fit a {what}: {text}")
    return FoundNetwork(config=config, parameters=found)
