"""From a line of an edits file to the edit that a batch takes: latents, mask, space and settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from dragspace_jax.cli.drag_options import SPACE_NAMES, drag_settings, space_options
from dragspace_jax.cli.edit_lines import EditLine, LineError
from dragspace_jax.cli.inputs import check_seed_options, load_one_latent, read_mask, seed_latents
from dragspace_jax.cli.space_options import SpaceOptions, make_space, space_name
from dragspace_jax.drag import DragSettings, EditRequest
from dragspace_jax.spaces import Space
from dragspace_jax.stylegan2 import Generator

_KEPT_MASKS = 64  # of 512 px: 64 MiB
_KEPT_SPACES = 64  # bases of 512 components: 64 MiB


class RequestMaker:
    """Makes requests of lines; edits with the same space or mask share the object.

    Args:
      model: the generator.
      folder: what the lines' paths are relative to.
      chosen: the drag options of lines that do not name them.
      psi, label: of the seeds of such lines.

    Raises:
      DragspaceError, UserError: the options do not fit the model.
    """

    def __init__(self, model: Generator, folder: Path, chosen: Mapping[str, Any], *, psi: float, label: int | None):
        self._model, self._folder, self._chosen, self._psi, self._label = model, folder, chosen, psi, label
        self._made = lru_cache(_KEPT_SPACES)(self._make_space)
        self._mask = lru_cache(_KEPT_MASKS)(self._read_mask)
        drag_settings(chosen).resolved(model.config)
        self._name = space_name(space_options(chosen))
        if label is not None or model.config.c_dim == 0:  # else every line has to name its class
            check_seed_options(model.config, psi=psi, label=label)
            self._space(space_options(chosen), label)

    def request(self, line: EditLine, name: str) -> EditRequest:
        """The edit, named.

        Raises:
          DragspaceError, UserError, OSError: the line does not fit the model, or a file of its is not as it should be.
        """
        options = space_options(self._merged(line.settings))
        if line.latents is not None and line.label is not None and not options.fits:
            raise LineError("label goes with seed, or with space pca without a basis; latents are mapped already")
        return EditRequest(
            id=name,
            ws=self.start(line),
            handles_yx=line.handles_yx,
            targets_yx=line.targets_yx,
            mask=None if line.mask is None else self._mask(line.mask, line.invert_mask),
            space=self._space(options, self._label_of(line)),
            settings=self.settings(line),
        )

    def start(self, line: EditLine) -> np.ndarray:
        """[L, D], the latents where the line's edit starts. Raises as `request` does."""
        if line.latents is not None:
            return load_one_latent(self._folder / line.latents, self._model.config)
        assert line.seed is not None  # a line has one of the two
        psi = self._psi if line.psi is None else line.psi
        return seed_latents(self._model, [line.seed], psi=psi, label=self._label_of(line))[0]

    def settings(self, line: EditLine) -> DragSettings:
        """The line's settings, resolved for the model. Raises DragspaceError if they do not fit it."""
        chosen = drag_settings(self._merged(line.settings))
        return chosen.resolved(self._model.config, masked=line.mask is not None)

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
        elif self._space_named(named) != self._name:
            chosen |= {name: None for name in SPACE_NAMES if name != "layers"}
        return {**chosen, **named}

    def _space_named(self, named: Mapping[str, Any]) -> str:
        """The space that a line asks for, by its name or by its recipe; the command's if by neither."""
        if "recipe" in named and "space" not in named:
            return space_name(space_options({**self._chosen, **named, "space": None, "basis": None}))
        return named.get("space", self._name)

    def _space(self, options: SpaceOptions, label: int | None) -> Space:
        # Only a basis that is fitted here depends on the class.
        return self._made(options, label if options.fits else None)

    def _make_space(self, options: SpaceOptions, label: int | None) -> Space:
        return make_space(self._model, options, label)

    def _read_mask(self, path: str, invert: bool) -> np.ndarray:
        return read_mask(self._folder / path, side=self._model.config.resolution, invert=invert)
