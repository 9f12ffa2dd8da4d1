"""Recipes: what they hold, that the commands and lines mean the same, and that a second call costs nothing."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import dragspace_jax as ds
from dragspace_jax.drag import recipes
from dragspace_jax.drag.recipes import complete_settings, recipe, settings_of, space_of
from dragspace_jax.spaces.options import make_space
from dragspace_jax.stylegan2.generator import Generator


def test_least_change_moves_along_components_in_deviations(tiny_generator: Generator) -> None:
    known = ds.recipe("least-change", tiny_generator)
    assert isinstance(known.space, ds.PCA)
    assert (known.space.layers, known.space.components.shape) == (6, (16, 16))
    scale, variance = np.asarray(known.space.scale), np.asarray(known.space.variance)
    np.testing.assert_allclose(scale, np.sqrt(variance), rtol=1e-5)
    assert (known.settings.tolerance, known.settings.feature_block) == (0.7, 16)


def test_published_is_the_published_loop(tiny_generator: Generator) -> None:
    published = ds.recipe("published", tiny_generator)
    assert published.space == ds.WPlus(layers=6)
    assert published.settings == ds.DragSettings()


@pytest.mark.parametrize(("resolution", "block"), [(32, 16), (128, 64), (256, 128), (512, 128), (1024, 128)])
def test_least_change_follows_half_the_images_side_at_most_the_published_block(resolution: int, block: int) -> None:
    assert complete_settings("least-change", resolution).feature_block == block


def test_a_recipe_is_what_the_commands_take_when_nothing_is_said(tiny_generator: Generator) -> None:
    for name in recipes.RECIPES:
        chosen = {"recipe": name}
        known = recipe(name, tiny_generator)
        assert settings_of(chosen, 32) == known.settings
        space = make_space(tiny_generator, space_of(chosen))
        assert jax.tree.structure(space) == jax.tree.structure(known.space)
        assert all((a == b).all() for a, b in zip(jax.tree.leaves(space), jax.tree.leaves(known.space), strict=True))


def test_a_second_call_costs_nothing(tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    first = recipe("least-change", tiny_generator)
    monkeypatch.setattr(recipes, "make_space", lambda *_: pytest.fail("made again"))
    assert recipe("least-change", tiny_generator) is first


def test_mistakes_are_named(tiny_generator: Generator) -> None:
    with pytest.raises(ds.DragspaceError, match="recipe is 'fast'; it must be least-change or published"):
        recipe("fast", tiny_generator)
    with pytest.raises(ds.DragspaceError, match="label 1: the model has no classes"):
        recipe("least-change", tiny_generator, label=1)
    assert recipe("published", tiny_generator, label=1).space == ds.WPlus(layers=6)


@pytest.mark.parametrize("field", ["learning_rate", "momentum", "radius_motion", "mask_weight"])
def test_least_change_refuses_what_only_a_loss_needs(field: str) -> None:
    with pytest.raises(ds.DragspaceError, match=f"{field} is of no use to the recipe least-change"):
        complete_settings("least-change", 128, {field: 0.5})


def test_what_follows_a_loss_refuses_a_metric() -> None:
    with pytest.raises(ds.DragspaceError, match="metric is of no use to the recipe published, which follows a loss"):
        complete_settings("published", 128, {"metric": "model"})


def test_what_is_not_said_is_the_recipe_s() -> None:
    settings = complete_settings("published", 128, {"steps": 7, "momentum": None})
    assert (settings.steps, settings.momentum, settings.learning_rate) == (7, 0.9, 1e-3)
