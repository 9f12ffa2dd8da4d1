"""What both sides of a comparison are given, and what they give back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from flax import nnx

from dragspace_jax.building import build_generator
from dragspace_jax.drag.settings import published_block
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2 import Generator, seed_to_z
from dragspace_jax.stylegan2.config import GeneratorConfig, channel_table

SEED = 0
PSI = 0.7
Fractions = tuple[tuple[float, float], ...]


def config_f(resolution: int, channel_base: int = 32768) -> GeneratorConfig:
    """StyleGAN2's largest configuration ("config F"): 512 channels up to 64 px, then halved a block.

    With half the `channel_base` it is the published one for 256 px: 512 channels up to 32 px.
    """
    return GeneratorConfig(resolution=resolution, channels=channel_table(resolution, channel_base, 512))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One edit: handles well inside the image, targets out of reach of the timed steps.

    Attributes:
      name: as `--cases` takes it.
      title: as the table shows it.
      config: the generator's.
      points, targets: (y, x) as fractions of the image.
      masked: whether everything farther than a quarter of the image from the handle must stay.
      learning_rate: the published default.
    """

    name: str
    title: str
    config: GeneratorConfig
    points: Fractions = ((0.4, 0.45),)
    targets: Fractions = ((0.65, 0.65),)
    masked: bool = False
    learning_rate: float = 1e-3

    @property
    def side(self) -> int:
        return self.config.resolution

    @property
    def feature_block(self) -> int:
        return published_block(self.side)

    @property
    def points_yx(self) -> np.ndarray:
        """[N, 2], whole pixels."""
        return np.floor(np.array(self.points) * self.side)

    @property
    def targets_yx(self) -> np.ndarray:
        """[N, 2], whole pixels, a quarter of the image away or more."""
        return np.floor(np.array(self.targets) * self.side)

    @property
    def mask(self) -> np.ndarray | None:
        """[H, W] float32, 1 where the image must stay; None if nothing must."""
        if not self.masked:
            return None
        rows, columns = np.mgrid[: self.side, : self.side]
        away = [np.hypot(rows - y, columns - x) for y, x in self.points_yx]
        return (np.min(away, axis=0) > self.side / 4).astype(np.float32)


def edits_of(config: GeneratorConfig, title: str = "", prefix: str = "") -> dict[str, Case]:
    """The three edits of one generator, by name: `one` handle, `four` handles, one with a `mask`."""
    title = title or f"{config.resolution} px"
    cases = (
        Case(name=f"{prefix}one", title=f"{title}, 1 handle", config=config),
        Case(
            name=f"{prefix}four",
            title=f"{title}, 4 handles",
            config=config,
            points=((0.36, 0.36), (0.36, 0.62), (0.62, 0.36), (0.62, 0.62)),
            targets=((0.15, 0.2), (0.15, 0.78), (0.83, 0.2), (0.83, 0.78)),
        ),
        Case(name=f"{prefix}mask", title=f"{title}, 1 handle, mask", config=config, masked=True),
    )
    return {case.name: case for case in cases}


def _published_sizes() -> dict[str, Case]:
    large = edits_of(config_f(512), prefix="512-")
    half = edits_of(config_f(256, 16384), "256 px, half width", "256-half-")
    single = {f"{side}-one": edits_of(config_f(side), prefix=f"{side}-")[f"{side}-one"] for side in (256, 128, 1024)}
    return {**large, "256-half-one": half["256-half-one"], **single}


CASES: Mapping[str, Case] = _published_sizes()
"""The cases on random weights of the published sizes, by name."""
DEFAULT_CASES = ("512-one", "512-four", "512-mask", "256-half-one", "256-one")
"""Those that are measured if nothing else is asked for."""


def random_model(config: GeneratorConfig, seed: int = SEED) -> Generator:
    """A generator with random weights: biases, noise strengths and w_avg too, so that each one counts."""
    shapes = nnx.eval_shape(lambda: parameters(Generator(config, rngs=nnx.Rngs(0))))
    random = np.random.default_rng(seed)
    # Drawn by NumPy: JAX would compile a program for each shape, 14 s at 512 px.
    values = {}
    for name, shape in shapes.items():
        value = random.standard_normal(shape.shape, np.float32)
        if name.endswith(("bias", "noise_strength", "w_avg")):
            value = 0.3 * value + np.float32(name.endswith("affine.bias"))
        elif name.startswith("mapping"):
            value /= config.mapping_lr_multiplier
        values[name] = value
    return build_generator(config, values)


def latents(model: Generator, seeds: Sequence[int]) -> np.ndarray:
    """The latents [B, L, D] of some seeds (of class 0, if the model has classes)."""
    config = model.config
    z = np.concatenate([seed_to_z(seed, config.z_dim) for seed in seeds])
    labels = jnp.tile(jnp.eye(config.c_dim)[:1], (len(z), 1)) if config.c_dim else None
    return np.asarray(model.mapping(jnp.asarray(z), labels, psi=PSI))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """A network and the latents ws0 [L, D] of the image that is dragged."""

    model: Generator
    ws0: np.ndarray

    @classmethod
    def of(cls, model: Generator, seed: int = SEED) -> Sample:
        """A model with the latents of a seed."""
        return cls(model=model, ws0=latents(model, [seed])[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What one side did with a case.

    Attributes:
      first_ms: until its first results were there, compilation included.
      compile_seconds: what the first drag took beyond a later one: compiling, and what else is done but once.
      iteration_ms: wall time of an iteration, one per measurement, from a fresh start after the warm-up.
      handles_yx: [T, N, 2], each before its iteration's update.
      latents: [T, L, D], each after its iteration's update.
    """

    first_ms: float
    compile_seconds: float
    iteration_ms: np.ndarray
    handles_yx: np.ndarray
    latents: np.ndarray

    @property
    def median_ms(self) -> float:
        return float(np.median(self.iteration_ms))
