"""Images from Python: of one image's latents, of several, of seeds; and the cache of compiled programs."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest

import dragspace_jax as ds
from dragspace_jax.compilation_cache import CacheError, cache_settings
from dragspace_jax.stylegan2.generator import Generator


def test_images_of_latents_and_of_seeds(tiny_generator: Generator) -> None:
    ws = ds.seed_latents(tiny_generator, [3, 5], psi=0.7)
    images = ds.generate(tiny_generator, [3, 5])
    assert (images.shape, images.dtype) == ((2, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(ds.render(tiny_generator, ws), images)
    single = ds.render(tiny_generator, ds.Latents(ws=ws[1]))
    assert np.abs(single.astype(int) - images[1]).max() <= 1
    with pytest.raises(ds.DragspaceError, match="no classes"):
        ds.generate(tiny_generator, [3], label=1)


def test_the_compilation_cache_from_python(tmp_path: Path) -> None:
    before = {name: getattr(jax.config, name) for name in cache_settings(tmp_path / "compiled")}
    try:
        ds.enable_compilation_cache(tmp_path / "compiled")
        kept = {name: getattr(jax.config, name) for name in before}
        assert kept == cache_settings(tmp_path / "compiled")
        assert (tmp_path / "compiled").is_dir()
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="cannot be written"):
        ds.enable_compilation_cache(tmp_path / "file" / "below")
