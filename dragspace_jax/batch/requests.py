"""From a line of an edits file to the edit that a batch takes: latents, mask or region, space and settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.batch.lines import EditLine, LineError
from dragspace_jax.batch.regions import RegionReader
from dragspace_jax.drag import DragSettings, EditRequest
from dragspace_jax.drag.edit import resolved_settings
from dragspace_jax.drag.recipes import settings_of, space_of
from dragspace_jax.input_pictures import read_mask
from dragspace_jax.inputs import check_seed_options, read_latents, seed_latents
from dragspace_jax.results import settings_record
from dragspace_jax.spaces import Space, Unmeasured
from dragspace_jax.spaces.chosen_channels import relative_to
from dragspace_jax.spaces.option_fields import SPACE_OPTIONS, SpaceOptions
from dragspace_jax.spaces.options import make_space, space_name, space_record
from dragspace_jax.stylegan2 import Generator, Latents

_KEPT_MASKS = 64  # of 512 px: 64 MiB
_KEPT_SPACES = 64  # bases of 512 components: 64 MiB


class RequestMaker:
    """Makes requests of lines; edits with the same space or mask share the object.

    Args:
      model: the generator.
      folder: what the lines' paths are relative to.
      chosen: how to drag where lines do not say, by `CHOICE_KEYS`.
      psi, label: of the seeds of such lines.
      species: what the model draws if that is critters, whose segments lines may name; else None.

    Raises:
      DragspaceError: the options do not fit the model.
    """

    def __init__(
        self,
        model: Generator,
        folder: Path,
        chosen: Mapping[str, Any],
        *,
        psi: float,
        label: int | None,
        species: str | None,
    ):
        self._model, self._folder, self._chosen, self._psi, self._label = model, folder, chosen, psi, label
        self._made = lru_cache(_KEPT_SPACES)(self._make_space)
        self._mask = lru_cache(_KEPT_MASKS)(self._read_mask)
        self._regions = RegionReader(model, species, folder)
        self._settings = settings_of(chosen, model.config.resolution)
        self._settings.resolved(model.config)
        options = space_of(chosen)
        self._name = space_name(options)
        self._common: Space | Unmeasured | None = None
        if label is not None or model.config.c_dim == 0:  # else every line has to name its class
            check_seed_options(model.config, psi=psi, label=label)
            self._common = self._space(options, label)

    def resolved(self) -> dict[str, Any]:
        """What lines that say nothing are dragged with, as JSON holds it; no space if it depends on their classes."""
        return {
            "recipe": self._chosen["recipe"],
            "space": None if self._common is None else space_record(self._common),
            "settings": settings_record(self._settings.resolved(self._model.config)),
            "engine_with_mask": self._settings.engine or "whole",
            "metric_with_region": self._settings.metric or "image",
        }

    def request(self, line: EditLine, name: str) -> EditRequest:
        """The edit, named.

        Raises:
          DragspaceError, OSError: the line does not fit the model, or a file of its is not as it should be.
        """
        options = space_of(self._merged(line.settings))
        if line.latents is not None and line.label is not None and not options.fits:
            raise LineError("label goes with seed, or with space pca without a basis; latents are mapped already")
        start = self.start(line)
        return EditRequest(
            id=name,
            latents=start,
            handles_yx=line.handles_yx,
            targets_yx=line.targets_yx,
            mask=None if line.mask is None else self._mask(line.mask, line.invert_mask),
            region=self._regions.region(line.may_change, start),
            space=self._space(options, self._label_of(line)),
            settings=self.settings(line),
        )

    def start(self, line: EditLine) -> Latents:
        """The latents where the line's edit starts. Raises as `request` does."""
        if line.latents is not None:
            return read_latents(self._folder / line.latents, self._model)
        assert line.seed is not None  # a line has one of the two
        psi = self._psi if line.psi is None else line.psi
        return Latents(ws=seed_latents(self._model, [line.seed], psi=psi, label=self._label_of(line))[0])

    def settings(self, line: EditLine) -> DragSettings:
        """The line's settings, resolved for the model. Raises DragspaceError if they do not fit it."""
        chosen = settings_of(self._merged(line.settings), self._model.config.resolution)
        return resolved_settings(chosen, self._model.config, region=line.mask is not None or bool(line.may_change))

    def _label_of(self, line: EditLine) -> int | None:
        return self._label if line.label is None else line.label

    def _merged(self, named: Mapping[str, Any]) -> dict[str, Any]:
        """The options with those that a line names.

        A line's basis says itself what it is, and another space takes over nothing that belongs to the command's.
        """
        chosen = dict(self._chosen)
        if "basis" in named:
            chosen["space"] = None
            named = {**named, "basis": str(self._folder / named["basis"])}
        if "channels" in named:
            named = {"space": "channels", **named, "channels": relative_to(named["channels"], self._folder)}
        if "basis" not in named and self._space_named(named) != self._name:
            chosen |= {name: None for name in SPACE_OPTIONS if name != "layers"}
        return {**chosen, **named}

    def _space_named(self, named: Mapping[str, Any]) -> str:
        """The space that a line asks for, by its name or by its recipe; the command's if by neither."""
        if "recipe" in named and "space" not in named:
            return space_name(space_of({**self._chosen, **named, "space": None, "basis": None, "channels": None}))
        return named.get("space", self._name)

    def _space(self, options: SpaceOptions, label: int | None) -> Space | Unmeasured:
        # Only a basis that is fitted here depends on the class.
        return self._made(options, label if options.fits else None)

    def _make_space(self, options: SpaceOptions, label: int | None) -> Space | Unmeasured:
        return make_space(self._model, options, label)

    def _read_mask(self, path: str, invert: bool) -> np.ndarray:
        return read_mask(self._folder / path, side=self._model.config.resolution, invert=invert)
