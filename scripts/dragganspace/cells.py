"""The cells of the study: where to drag and how, one cell a combination; every cell runs the same edits."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from dragspace_jax.drag import DragSettings, Method
from dragspace_jax.drag.directions import Adam
from dragspace_jax.drag.settings import PUBLISHED_SIDE
from dragspace_jax.drag.step_sizes import Pace, Rate, Schedule
from dragspace_jax.drag.supervision import MotionSupervision
from dragspace_jax.spaces import Displacement, LayerSpace, WPlus, default_layers
from dragspace_jax.spaces.pca import PCA
from dragspace_jax.stylegan2 import GeneratorConfig
from scripts.dragganspace.adam_norm import AdamNorm

ALL_LAYERS, WIDTH = 12, 128  # of the embedded models: latents of an image, numbers in each
CAP = 150  # iterations
FINE = 0.5  # px: the tolerance that is the same for all, beside the published one
# Learning rates in units of W, and in standard deviations for whitened coordinates.
PLAIN_RATES = (3e-4, 1e-3, 2e-3, 5e-3, 2e-2)
WHITE_RATES = (3e-3, 2e-2, 5e-2, 1e-1)
LOW_RATES = PLAIN_RATES[:4]
LAYERS = (3, 6, 10, ALL_LAYERS)
COMPONENTS = (8, 32)

SpaceName = Literal["full", "pca", "displacement"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One way to drag.

    Attributes:
      space: `full` (W+), `pca` or `displacement`.
      layers: moving layers.
      components: of a basis; 0 for `full`.
      power: of the whitening.
      fine: stop at `FINE` px instead of the published tolerance.
      slow_down: distance of the handle to its target below which the rate falls in proportion; 0: it does not.
      pace: pixels by which the handle shall come nearer in an iteration; 0: steps are as long as the rate makes them.
      radius: `radius_track`; all three in pixels of the 128 px image.
      rate, momentum: as in `DragSettings`.
      half_life: iterations in which the rate halves; 0: it stays.
      solver: `adam`, a second moment a coordinate, or `adam-norm`, one for all.
      block: whose features are followed. All cells of the study were run with 64; `published` follows 128.
    """

    space: SpaceName
    layers: int
    components: int = 0
    power: float = 0.0
    rate: float
    solver: Literal["adam", "adam-norm"] = "adam"
    momentum: float = 0.9
    slow_down: float = 0.0
    half_life: float = 0.0
    pace: float = 0.0
    radius: float = 3.0
    fine: bool = False
    block: int = 64

    @property
    def key(self) -> str:
        """Names the cell's files."""
        coordinates = f"{self.components}w{self.power:g}" if self.components else ""
        schedule = f"-slow{self.slow_down:g}" if self.slow_down else ""
        schedule += f"-half{self.half_life:g}" if self.half_life else ""
        schedule += f"-pace{self.pace:g}" if self.pace else ""
        schedule += f"-track{self.radius:g}" if self.radius != 3.0 else ""
        tolerance = "-fine" if self.fine else ""
        schedule += f"-block{self.block}" if self.block != 64 else ""
        return (
            f"{self.space}{coordinates}-n{self.layers}-{self.solver}-m{self.momentum:g}-lr{self.rate:g}"
            f"{schedule}{tolerance}"
        )

    @property
    def program(self) -> tuple[object, ...]:
        """Cells that share it run in one compiled program."""
        sized = bool(self.slow_down or self.half_life), bool(self.pace)
        return self.space, self.layers, self.components, self.solver, self.momentum, self.radius, self.block, sized

    @property
    def contender(self) -> tuple[object, ...]:
        """Cells that differ in the learning rate only: each contender runs at its own best."""
        return tuple(value for name, value in dataclasses.asdict(self).items() if name != "rate")

    @property
    def drive(self) -> tuple[object, ...]:
        """Cells that share it are driven alike, whatever they move in."""
        return self.solver, self.momentum, self.pace, self.radius, self.half_life, self.slow_down, self.block

    def settings(self, config: GeneratorConfig) -> DragSettings:
        return DragSettings(
            learning_rate=self.rate,
            momentum=self.momentum,
            feature_block=self.block,
            method=self._method(),
            radius_track=self.radius * PUBLISHED_SIDE / config.resolution,
            steps=CAP,
            tolerance=FINE if self.fine else None,
        ).resolved(config)

    def _method(self) -> Method | None:
        """What the settings do not name; None: they name all of it.

        Raises:
          ValueError: a pace and a schedule; each says by itself how far to go.
        """
        scheduled = bool(self.slow_down or self.half_life)
        if scheduled and self.pace:
            raise ValueError(f"{self.key} has a pace and a schedule; a cell has one of them at most")
        if self.solver == "adam" and not scheduled and not self.pace:
            return None
        direction = AdamNorm() if self.solver == "adam-norm" else Adam()
        size = Pace(pace=self.pace) if self.pace else Rate()
        if scheduled:
            size = Schedule(half_life=self.half_life, slow_down=self.slow_down)
        return Method(objective=MotionSupervision(), direction=direction, size=size)

    def chart(self, pca: PCA, displacements: Displacement | None) -> LayerSpace:
        """The cell's space, from bases of all components."""
        if self.space == "full":
            return WPlus(layers=self.layers)
        if self.space == "pca":
            return dataclasses.replace(pca.truncated(self.components).whitened(self.power), layers=self.layers)
        assert displacements is not None
        return displacements.truncated(self.components).whitened(self.power)


def grid() -> list[Cell]:
    """The published claims: layers × {full, PCA with several k, whitened and not} × learning rates, Adam."""
    cells = []
    for layers in LAYERS:
        cells += [Cell(space="full", layers=layers, rate=rate) for rate in PLAIN_RATES]
        for components in COMPONENTS:
            for power, rates in ((0.0, PLAIN_RATES), (1.0, WHITE_RATES)):
                cells += [
                    Cell(space="pca", layers=layers, components=components, power=power, rate=rate) for rate in rates
                ]
    return cells


def rivals(layers: int = default_layers(ALL_LAYERS)) -> list[Cell]:
    """Beyond the paper: scales by explained variance, solvers and the displacements of drags, at both tolerances."""
    plain, white, norm = (2e-3, 5e-3, 1e-2, 2e-2, 4e-2), (1e-2, 2e-2, 5e-2, 1e-1, 2e-1), (2e-3, 5e-3, 1e-2, 2e-2)
    half, white_norm = (0.004472, 0.01, 0.022361, 0.044721, 0.089443), (1e-2, 2e-2, 3e-2, 5e-2, 8e-2)
    spaces: list[tuple[SpaceName, int, float, tuple[float, ...], tuple[float, ...]]] = [
        ("full", 0, 0.0, plain, norm),
        ("pca", 32, 0.0, plain, norm),
        ("pca", 32, 0.5, half, (5e-3, 1e-2, 2e-2, 3e-2)),
        ("pca", 32, 1.0, white, white_norm),
        ("pca", 64, 1.0, white, white_norm),
        ("displacement", 32, 0.0, (5e-3, 1e-2, 2e-2, 4e-2, 8e-2), (1e-2, 2e-2, 4e-2, 8e-2)),
        ("displacement", 32, 1.0, (2e-2, 5e-2, 1e-1, 2e-1, 4e-1), (5e-2, 1e-1, 2e-1, 4e-1)),
    ]
    cells = []
    for space, k, power, adam_rates, rates_of_norm in spaces:
        common: dict[str, Any] = {"space": space, "layers": layers, "components": k, "power": power}
        for fine in (False, True):
            cells += [Cell(**common, rate=rate, fine=fine) for rate in adam_rates]
            cells += [Cell(**common, rate=rate, solver="adam-norm", fine=fine) for rate in rates_of_norm]
    return cells


def schedules(layers: int = default_layers(ALL_LAYERS)) -> list[Cell]:
    """Hybrid learning rates, slow near the target or late; less momentum; a pace with the published window."""
    spaces: list[tuple[tuple[float, ...], dict[str, Any]]] = [
        ((1e-3, 2e-3, 3e-3, 5e-3), {"space": "full"}),
        ((2e-2, 5e-2), {"space": "pca", "components": 32, "power": 1.0}),
        ((1e-2, 2e-2, 3e-2), {"space": "pca", "components": 32, "power": 1.0, "solver": "adam-norm"}),
    ]
    changes: list[dict[str, Any]] = [
        {"slow_down": 4.0}, {"half_life": 20.0}, {"momentum": 0.5}, {"pace": 2.0}, {"pace": 2.0, "momentum": 0.5},
    ]  # fmt: skip
    return [
        Cell(layers=layers, fine=fine, rate=rate, **space, **change)
        for rates, space in spaces
        for rate in rates
        for change in changes
        for fine in (False, True)
    ]


def paces(layers: int = default_layers(ALL_LAYERS)) -> list[Cell]:
    """A pace, with the published window to find the handle in or a wider one, little momentum; published tolerance."""
    spaces: list[dict[str, Any]] = [
        {"space": "full", "rate": 3e-3},
        {"space": "pca", "components": 32, "power": 1.0, "rate": 8e-2},
        *({"space": "pca", "components": k, "rate": 5e-3} for k in (64, 96, 128)),
    ]
    return [
        Cell(layers=layers, momentum=momentum, pace=pace, radius=radius, **space)
        for space in spaces
        for radius in (3.0, 5.0)
        for momentum in (0.0, 0.3, 0.5)
        for pace in (2.5, 3.0, 3.5)
    ]


def lengthened(layers: int = default_layers(ALL_LAYERS)) -> list[Cell]:
    """Low rates in W+ and PCA, and in PCA those with which an Adam step is as long as W+'s.

    Adam's steps are about ±rate in each coordinate, so their length in W goes with the root of the coordinates' number.
    """
    cells = []
    for rate in LOW_RATES:
        cells.append(Cell(space="full", layers=layers, rate=rate))
        for components in COMPONENTS:
            for each in (rate, as_long(rate, components)):
                cells.append(Cell(space="pca", layers=layers, components=components, rate=each))
    return cells


def as_long(rate: float, components: int) -> float:
    """The rate in PCA with which an Adam step is as long in W as one at `rate` in W+."""
    return float(f"{rate * math.sqrt(WIDTH / components):.6g}")  # equal to what the grid calls it


def traced() -> list[Cell]:
    """Those whose every iteration is looked at: low and good rates by space, and equal steps by number of layers."""
    low, good, layers = LOW_RATES[0], 1e-3, default_layers(ALL_LAYERS)
    spaces: list[dict[str, Any]] = [{"space": "full"}, *({"space": "pca", "components": k} for k in COMPONENTS)]
    cells = [Cell(**space, layers=layers, rate=low) for space in spaces]
    for space in spaces:
        rate = as_long(good, space.get("components", WIDTH))
        cells += [Cell(**space, layers=each, rate=rate) for each in _numbers_of_layers(space, layers)]
    return cells


def _numbers_of_layers(space: dict[str, Any], default: int) -> tuple[int, ...]:
    """Of the traced cells of a space: W+ and the larger basis are looked at by number of layers."""
    return (default,) if space.get("components") == min(COMPONENTS) else LAYERS[:-1]


def confirmation(layers: int = default_layers(ALL_LAYERS)) -> list[Cell]:
    """The few that the other parts pointed to, at the rates found there, for edits that chose nothing.

    The published loop in W+ comes first; of W+ driven in some way, the best rate comes first.
    """
    steady: dict[str, Any] = {"momentum": 0.3, "pace": 3.0}
    fast: dict[str, Any] = {"momentum": 0.3, "pace": 3.5, "radius": 5.0}
    chosen: list[dict[str, Any]] = [
        {"space": "full", "rate": 2e-3},
        {"space": "full", "rate": 3e-3},
    ]
    for driven in (steady, fast):
        chosen += [
            {"space": "full", "rate": 3e-3} | driven,
            {"space": "full", "rate": 2e-3} | driven,
            {"space": "pca", "components": 32, "power": 1.0, "rate": 8e-2} | driven,
            *({"space": "pca", "components": k, "rate": 5e-3} | driven for k in (64, 96, 128)),
        ]
    return [Cell(layers=layers, fine=fine, **each) for each in chosen for fine in (False, True)]


def by_program(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    """The cells in groups that share a compiled program, each cell once."""
    groups: dict[tuple[object, ...], dict[str, Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.program, {})[cell.key] = cell
    for group in groups.values():
        yield list(group.values())
