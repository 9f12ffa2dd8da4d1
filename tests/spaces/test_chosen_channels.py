"""Style channels by name and by table, as options and lines give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragspace_jax.checkpoint import load
from dragspace_jax.critters.channel_tables import channel_table
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import SpaceError
from dragspace_jax.spaces.chosen_channels import chosen_channels, relative_to
from dragspace_jax.spaces.option_fields import SpaceOptions
from dragspace_jax.spaces.options import make_space, space_name, space_record
from dragspace_jax.stylegan2 import Generator

TABLE = "layer,index,region\nb8.conv1,3,eye\nb16.conv0,0,\nb16.conv0,5,ear\n"


def test_one_by_one_and_by_table(tmp_path: Path) -> None:
    (tmp_path / "channels.csv").write_text(TABLE)
    table = tmp_path / "channels.csv"
    assert chosen_channels("b8.conv1:3, 6:12") == [("b8.conv1", 3), ("6", 12)]
    assert chosen_channels(f"{table}:eye") == [("b8.conv1", 3)]
    assert chosen_channels(f"{table}:eye,ear") == [("b8.conv1", 3), ("b16.conv0", 5)]
    assert chosen_channels(relative_to("channels.csv:ear", tmp_path)) == [("b16.conv0", 5)]
    assert relative_to("b8.conv1:3", tmp_path) == "b8.conv1:3"
    assert chosen_channels("ear, eye", table) == [("b8.conv1", 3), ("b16.conv0", 5)]


@pytest.mark.parametrize("name", ["critters-dog", "critters-cat"])
def test_the_embedded_models_have_tables(name: str) -> None:
    """Of these very weights: a table is named by its model's fingerprint."""
    model = load(name)
    table = channel_table(fingerprint(model))
    assert table is not None
    widths = model.synthesis.style_channels()
    for region in ("eye", "ear", "mouth", "nose", "muzzle"):
        found = chosen_channels(region, table)
        assert len(found) >= 10
        assert all(index < widths[layer] for layer, index in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not like b16.conv1:12"),
        ("ear", "'ear': the model has no table of its own; give FILE.csv:ear"),
        ("b8.conv1:-1", "is not like b16.conv1:12"),
        ("{}/channels.csv:nose", "no channel of .*acts on 'nose'; there are ear, eye"),
        ("{}/channels.csv:", "acts on ''"),
        ("{}/none.csv:eye", "cannot be read"),
        ("{}/other.csv:eye", "is not a table of dragspace channels"),
    ],
)
def test_what_is_neither_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "channels.csv").write_text(TABLE)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SpaceError, match=said):
        chosen_channels(text.format(tmp_path))


def test_options_make_the_space(tiny_generator: Generator) -> None:
    options = SpaceOptions(channels="b8.conv1:3,4:1")
    space = make_space(tiny_generator, options)
    assert space_name(options) == "channels"
    assert space_record(space) == {"name": "channels", "channels": {"b8.conv1": [3], "b8.torgb": [1]}}
    with pytest.raises(SpaceError, match="needs `channels`, such as ear"):
        make_space(tiny_generator, SpaceOptions(space="channels"))
    with pytest.raises(SpaceError, match="channels belongs to `space` channels, not to pca"):
        make_space(tiny_generator, SpaceOptions(space="pca", channels="b8.conv1:3"))
    with pytest.raises(SpaceError, match="components is of no use"):
        make_space(tiny_generator, SpaceOptions(channels="b8.conv1:3", components=4))
