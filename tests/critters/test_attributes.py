"""The entangling map: bounded, smooth, dense, with marginals that leave room for a drag."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dragspace_jax.critters import ATTRIBUTES, LATENT_DIM, entangle, named

LOW = np.array([attribute.low for attribute in ATTRIBUTES])
HIGH = np.array([attribute.high for attribute in ATTRIBUTES])


@pytest.fixture(scope="module")
def z():
    return jax.random.normal(jax.random.key(0), (4096, LATENT_DIM))


@pytest.fixture(scope="module")
def shares(z):
    """Where in its range each attribute lies, [B, A] in 0..1."""
    return (np.asarray(entangle(z)) - LOW) / (HIGH - LOW)


def test_names_are_unique_and_ranges_are_ranges():
    assert len({attribute.name for attribute in ATTRIBUTES}) == len(ATTRIBUTES)
    assert (HIGH > LOW).all()


def test_stays_within_the_ranges(shares):
    assert shares.min() >= -1e-6
    assert shares.max() <= 1 + 1e-6


def test_far_latents_stay_within_the_ranges():
    far = np.asarray(entangle(20.0 * jax.random.normal(jax.random.key(1), (64, LATENT_DIM))))
    assert np.isfinite(far).all()
    assert (far >= LOW - 1e-5).all()
    assert (far <= HIGH + 1e-5).all()


def test_marginals_cover_the_range_without_piling_up_at_its_ends(shares):
    spread = np.quantile(shares, [0.02, 0.98], axis=0)
    assert (spread[1] - spread[0] > 0.6).all()
    assert (np.mean((shares < 0.02) | (shares > 0.98), axis=0) < 0.12).all()


def test_medians_lie_where_the_table_says(shares):
    centres = np.array([attribute.centre for attribute in ATTRIBUTES])
    assert np.abs(np.median(shares, axis=0) - centres).max() < 0.05


def test_every_attribute_depends_on_every_latent(z):
    jacobian = np.asarray(jax.jit(jax.vmap(jax.jacfwd(lambda one: entangle(one[None])[0])))(z[:64]))
    sensitivity = np.abs(jacobian).mean(0) / (HIGH - LOW)[:, None]
    assert np.isfinite(jacobian).all()
    assert (sensitivity > 1e-4).all()
    # No latent is an attribute: none has more than half of an attribute's squared sensitivity.
    assert ((sensitivity**2).max(1) / (sensitivity**2).sum(1) < 0.5).all()


def test_is_not_linear(z):
    middle = np.asarray(entangle(jnp.zeros((1, LATENT_DIM)))) * 2 - np.asarray(entangle(z[:256]) + entangle(-z[:256]))
    assert (np.abs(middle).mean(0) / (HIGH - LOW) > 0.02).all()


def test_pairs_go_together_and_can_differ(shares):
    by_name = named(shares)
    for first, second in (("eye_opening_left", "eye_opening_right"), ("ear_left_raise", "ear_right_raise")):
        assert 0.2 < np.corrcoef(by_name[first], by_name[second])[0, 1] < 0.8


def test_is_the_same_for_one_and_many_and_refuses_other_widths(z):
    np.testing.assert_allclose(entangle(z[:1]), entangle(z[:5])[:1], atol=1e-5)
    with pytest.raises(ValueError, match="32"):
        entangle(jnp.zeros((2, 31)))
