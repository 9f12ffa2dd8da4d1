"""Images in batches of one compiled shape."""

import numpy as np

from dragspace_jax.stylegan2.rendering import render_batches, render_images


def test_a_batch_that_is_not_full_gives_the_same_images(tiny_generator):
    ws = np.random.RandomState(2).randn(19, 8, 16).astype(np.float32)
    batches = list(render_batches(tiny_generator, ws))
    assert [len(b) for b in batches] == [16, 3]
    np.testing.assert_allclose(batches[1], render_images(tiny_generator, ws[16:]), atol=1e-5)


def test_random_noise_differs_from_image_to_image_and_repeats(tiny_generator):
    ws = np.repeat(np.random.RandomState(3).randn(1, 8, 16).astype(np.float32), 17, axis=0)
    first, again = (list(render_batches(tiny_generator, ws, noise="random")) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    for other in (first[0][1], first[1][0]):  # of the same batch, of the next
        assert np.abs(first[0][0] - other).max() > 1e-3


def test_bfloat16_is_close(tiny_generator):
    ws = np.random.RandomState(4).randn(2, 8, 16).astype(np.float32)
    exact, coarse = (render_images(tiny_generator, ws, dtype=d) for d in ("float32", "bfloat16"))
    assert coarse.dtype == np.float32
    assert 0 < np.abs(exact - coarse).max() < 0.05 * np.abs(exact).max()
