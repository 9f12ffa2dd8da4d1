"""Seeds, labels, and files of latents and masks."""

import contextlib
import dataclasses
import struct
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from dragspace_jax.input_pictures import read_labels, read_mask, read_region
from dragspace_jax.inputs import InputError, label_vector, load_latents, load_one_latent, seed_latents
from dragspace_jax.stylegan2.mapping import Mapping


def test_the_latent_of_a_seed_is_that_of_the_published_tools(tiny_generator):
    z = jnp.asarray(np.random.RandomState(5).randn(1, 16), jnp.float32)
    expected = tiny_generator.mapping(z, psi=0.5)
    latents = seed_latents(tiny_generator, [4, 5], psi=0.5)
    assert latents.shape == (2, 8, 16)
    np.testing.assert_allclose(latents[1], expected[0], atol=1e-6)


def test_without_truncation_the_latent_is_that_of_the_mapping(tiny_generator):
    z = jnp.asarray(np.random.RandomState(5).randn(1, 16), jnp.float32)
    np.testing.assert_allclose(seed_latents(tiny_generator, [5], psi=1.0), tiny_generator.mapping(z), atol=1e-6)


def test_seeds_are_mapped_by_one_program_whatever_psi(tiny_generator, monkeypatch):
    seed_latents(tiny_generator, [1], psi=0.5)
    monkeypatch.setattr(Mapping, "trunk", lambda *_: pytest.fail("traced again"))
    seed_latents(tiny_generator, [2, 3], psi=0.6)


@pytest.mark.parametrize("psi", [float("nan"), float("inf")])
def test_psi_must_be_finite(tiny_generator, psi):
    with pytest.raises(InputError, match=f"psi {psi}: a finite number"):
        seed_latents(tiny_generator, [1], psi=psi)


def test_labels(tiny_config):
    classes = dataclasses.replace(tiny_config, c_dim=3)
    np.testing.assert_array_equal(label_vector(classes, 2), [[0, 0, 1]])
    assert label_vector(tiny_config, None) is None
    for config, label in [(classes, None), (classes, 3), (classes, -1), (tiny_config, 0)]:
        with pytest.raises(InputError, match="label"):
            label_vector(config, label)


@pytest.mark.parametrize("shape", [(8, 16), (1, 8, 16), (3, 8, 16)])
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_latents_in_their_shapes(tmp_path, tiny_config, shape, kind):
    ws = np.random.RandomState(0).randn(*shape)  # float64, as numpy makes it
    path = tmp_path / f"ws.{kind}"
    if kind == "npy":
        np.save(path, ws)
    else:
        np.savez(path, ws=ws, other=ws)
    loaded = load_latents(path, tiny_config)
    assert loaded.dtype == np.float32
    np.testing.assert_allclose(loaded, ws.reshape(-1, 8, 16), rtol=1e-6)


class _Pickled:
    """Would leave a file behind if the loader unpickled it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_bad_latents(tmp_path, tiny_config):
    good = np.zeros((8, 16), np.float32)
    trap = tmp_path / "trap"
    broken = good.copy()
    broken[3, 3] = np.nan
    arrays = {
        "shape": (np.zeros((7, 16), np.float32), r"\[7, 16\].*\[8, 16\] or \[n, 8, 16\]"),
        "flat": (np.zeros(128, np.float32), r"\[128\]"),
        "empty": (np.zeros((0, 8, 16), np.float32), r"\[0, 8, 16\]"),
        "nan": (broken, "not finite"),
        "huge": (good.astype(np.float64) + 1e300, "not finite"),
        "text": (np.full((8, 16), "a"), "floating-point"),
        "pickle": (np.array([_Pickled(trap)], dtype=object), "not an array file"),
    }
    for name, (array, message) in arrays.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=True)
        with pytest.raises(InputError, match=message):
            load_latents(tmp_path / f"{name}.npy", tiny_config)
    assert not trap.exists()
    np.savez(tmp_path / "key.npz", w=good)
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "nothing").write_bytes(b"")
    np.savez(tmp_path / "cut.npz", ws=good)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:-40])
    for name, message in [
        ("key.npz", "no array `ws`; it has w"),
        ("text.txt", "not an array file"),
        ("nothing", "not an array file"),
        ("cut.npz", "not an array file"),
        ("absent.npy", "no such file"),
    ]:
        with pytest.raises(InputError, match=message):
            load_latents(tmp_path / name, tiny_config)


def test_one_latent(tmp_path, tiny_config):
    np.save(tmp_path / "one.npy", np.ones((1, 8, 16), np.float32))
    np.save(tmp_path / "two.npy", np.ones((2, 8, 16), np.float32))
    assert load_one_latent(tmp_path / "one.npy", tiny_config).shape == (8, 16)
    with pytest.raises(InputError, match="holds 2 latents"):
        load_one_latent(tmp_path / "two.npy", tiny_config)


def test_latents_under_another_key(tmp_path, tiny_config):
    np.savez(tmp_path / "a.npz", ws=np.zeros((8, 16), np.float32), start=np.ones((8, 16), np.float32))
    assert load_one_latent(tmp_path / "a.npz", tiny_config, key="start").all()
    with pytest.raises(InputError, match="no array `end`; it has ws, start"):
        load_one_latent(tmp_path / "a.npz", tiny_config, key="end")


def test_latents_of_an_absurd_shape(tmp_path, tiny_config):
    with (tmp_path / "vast.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**14, 16)})
    with pytest.raises(InputError, match=r"memory|not an array file"):
        load_latents(tmp_path / "vast.npy", tiny_config)


def test_damaged_archives_of_latents(tmp_path, tiny_config):
    path = tmp_path / "ws.npz"
    np.savez_compressed(path, ws=np.random.RandomState(0).randn(8, 16))
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place : place + 4] = b"\xff" * 4
        path.write_bytes(damaged)
        with contextlib.suppress(InputError):  # nothing else may come out; some places do not matter
            load_latents(path, tiny_config)


def test_a_mask_is_white_where_the_image_stays(tmp_path):
    white = np.zeros((32, 32), bool)
    white[4:9, 20:] = True
    Image.fromarray(white.astype(np.uint8) * 255).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", side=32, invert=False), white)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", side=32, invert=True), ~white)


def _png_header(side: int) -> bytes:
    """A PNG that promises side×side gray pixels and holds none."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(b""))]
    framed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [16, 12_000, 60_000])
def test_a_mask_of_another_size_is_refused_unread(tmp_path, side):
    (tmp_path / "mask.png").write_bytes(_png_header(side))
    with pytest.raises(InputError, match=f"shape {side}×{side} .*32×32"):
        read_mask(tmp_path / "mask.png", side=32, invert=False)


def test_masks_that_are_no_whole_pictures(tmp_path):
    path = tmp_path / "mask.png"
    noise = np.random.RandomState(0).randint(0, 256, (32, 32), np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 30, 13):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"not a picture|not a whole picture"):
            read_mask(path, side=32, invert=False)
    with pytest.raises(InputError, match="no such file"):
        read_mask(tmp_path / "absent.png", side=32, invert=False)


def test_a_region_is_white_where_the_image_may_change(tmp_path):
    grey = np.zeros((32, 32), np.uint8)
    grey[4:9, 20:] = 128
    Image.fromarray(grey).convert("RGB").save(tmp_path / "region.png")
    np.testing.assert_array_equal(read_region(tmp_path / "region.png", side=32), grey == 128)
    with pytest.raises(InputError, match=r"region .*the region has shape 32×32 pixels; the model's images are 64×64"):
        read_region(tmp_path / "region.png", side=64)


def test_a_label_map_holds_ids(tmp_path):
    ids = np.arange(32 * 32).reshape(32, 32) % 200
    grey, palette = Image.fromarray(ids.astype(np.uint8)), Image.fromarray(ids.astype(np.uint8))
    palette.putpalette([each for index in range(256) for each in (255 - index, index, 7)])
    wide = Image.fromarray((300 * ids).astype(np.uint16))
    for name, picture, expected in (("grey", grey, ids), ("palette", palette, ids), ("wide", wide, 300 * ids)):
        picture.save(tmp_path / f"{name}.png")
        labels = read_labels(tmp_path / f"{name}.png", side=32)
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, expected)
    grey.convert("RGB").save(tmp_path / "colours.png")
    with pytest.raises(InputError, match="not a label map but a picture in colours"):
        read_labels(tmp_path / "colours.png", side=32)
    with pytest.raises(InputError, match=r"segments .*: no such file"):
        read_labels(tmp_path / "absent.png", side=32)
