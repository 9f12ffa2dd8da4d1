"""Which region a channel acts on: by heat maps that are known, and on a small network."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dragspace_jax.analysis.channels import (
    LocalityError,
    Tally,
    channel_names,
    heat_maps,
    local_channels,
    pooled_labels,
)
from dragspace_jax.analysis.tally_file import Measured, read_tally, save_tally
from dragspace_jax.inputs import seed_latents
from dragspace_jax.stylegan2 import Generator, Latents
from dragspace_jax.stylegan2.rendering import render_images

LABELS = np.zeros((8, 8), np.int32)
LABELS[:4, :4], LABELS[5:7, 5:7] = 1, 2


def _heat(*hot: np.ndarray) -> np.ndarray:
    random = np.random.RandomState(0)
    return np.stack([np.where(each, 5.0, 0.1) + random.rand(8, 8) for each in hot])


def test_a_channel_acts_where_it_is_hottest() -> None:
    everywhere = np.ones((8, 8), bool)
    heat = _heat(LABELS == 1, LABELS == 2, LABELS == 0, everywhere)
    tally = Tally.empty(4, 4)
    for _ in range(4):
        tally = tally.with_image(heat, LABELS)
    assert tally.shown.tolist() == [4, 4, 4, 0]  # region 3 is shown by none
    assert tally.active()[:3].tolist() == [1, 2, 0]
    ratios = tally.inside / np.maximum(tally.outside, 1e-9)
    assert ratios[0, 1] > 20
    assert ratios[3, 1] < 2
    half = tally.with_image(heat[[1, 0, 2, 3]], LABELS).with_image(heat[[1, 0, 2, 3]], LABELS)
    half = half.with_image(heat[[1, 0, 2, 3]], LABELS).with_image(heat[[1, 0, 2, 3]], LABELS)
    assert half.active()[:2].tolist() == [-1, -1]  # each region in half of the images


def test_cells_belong_to_what_most_of_their_pixels_do() -> None:
    labels = np.kron(np.array([[0, 1], [2, 7]]), np.ones((4, 4), np.int32)).astype(np.int32)
    labels[0, :3] = 1
    assert pooled_labels(labels, 2, 3).tolist() == [[0, 1], [2, -1]]


class Halves:
    """Left and right."""

    names = ("left", "right")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.broadcast_to((np.arange(images.shape[2]) >= images.shape[2] // 2).astype(np.int32), images.shape[:3])


def test_a_measurement_goes_on(tiny_generator: Generator, tmp_path: Path) -> None:
    path = tmp_path / "tally.npz"
    measured = Measured(regions=Halves.names, model="m", psi=0.7)
    whole = local_channels(tiny_generator, Halves(), images=2)
    first = local_channels(tiny_generator, Halves(), images=1, on_image=lambda t: save_tally(path, t, measured))
    again = local_channels(tiny_generator, Halves(), images=2, tally=read_tally(path, measured))
    assert first.images == 1
    assert again.images == 2
    np.testing.assert_array_equal(again.wins, whole.wins)
    np.testing.assert_allclose(again.inside, whole.inside)
    with pytest.raises(LocalityError, match=r"is of psi 0\.7, and 1\.0 is measured now"):
        read_tally(path, dataclasses.replace(measured, psi=1.0))
    with pytest.raises(LocalityError, match="does not exist"):
        read_tally(tmp_path / "none.npz", measured)
    with pytest.raises(LocalityError, match="at least one of each"):
        local_channels(tiny_generator, Halves(), images=0)


def test_heat_is_in_the_order_of_the_names(tiny_generator: Generator) -> None:
    """The heat of a channel is where the image changes when it is moved, for the first of every convolution."""
    ws = seed_latents(tiny_generator, [1], psi=0.7)[0]
    heat = heat_maps(tiny_generator, ws)
    names = channel_names(tiny_generator)
    assert heat.shape == (len(names), 32, 32)
    widths = tiny_generator.synthesis.style_channels()
    for layer in ("b4.conv1", "b16.conv0", "b32.conv1"):
        offset = np.zeros((2, widths[layer]), np.float32)
        offset[1, 0] = 1e-2
        start, moved = render_images(tiny_generator, Latents(ws=np.stack([ws, ws]), offsets={layer: offset}))
        seen = np.abs(moved - start).mean(-1) / 1e-2
        own = heat[names.index((layer, 0))]
        assert np.sum(own * seen) / np.sqrt(np.sum(own**2) * np.sum(seen**2)) > 0.95  # kinks of activations apart


HALVES = Halves()
