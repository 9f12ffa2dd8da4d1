"""The PCA of a model that is kept in the user's cache."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import PCA, cached
from dragspace_jax.spaces.option_fields import SpaceOptions
from dragspace_jax.spaces.options import make_space
from dragspace_jax.stylegan2.generator import Generator


def test_a_kept_basis_is_used_again_and_a_damaged_one_fitted_anew(
    tiny_generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dragspace_jax")
    monkeypatch.setattr(cached, "basis_folder", lambda: tmp_path)
    options = SpaceOptions(space="pca", components=4)
    make_space(tiny_generator, options)
    assert "fitting a PCA basis" in caplog.text
    (kept,) = tmp_path.iterdir()
    assert kept.name == f"pca-{fingerprint(tiny_generator)}-100000.npz"
    caplog.clear()
    make_space(tiny_generator, options)
    assert caplog.text == ""
    kept.write_bytes(b"damaged")
    space = make_space(tiny_generator, options)
    assert isinstance(space, PCA)
    assert space.dim(16) == 4 * 6
    assert "is damaged" in caplog.text
