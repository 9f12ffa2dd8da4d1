"""Sources and places: what is no checkpoint, what is truncated, what is taken."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io
import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import dragspace_jax.convert as converter
from dragspace_jax.checkpoint import read_card
from dragspace_jax.convert import ConvertError, convert

from . import write_nvlabs, write_rosinality, write_tensorflow
from .networks import random_parameters, small_discriminator, small_generator


def good(folder, kind):
    config = small_generator()
    if kind == "nvlabs":
        return write_nvlabs.write(folder / "good", write_nvlabs.snapshot(config, small_discriminator()))
    if kind == "tensorflow":
        return write_tensorflow.write(folder / "good", write_tensorflow.snapshot(config, small_discriminator()))
    content = write_rosinality.content(config, random_parameters(config), kind="converted")
    return write_rosinality.write(folder / "good", content, zipped=kind == "zip")


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, ws=np.zeros(3))
    return buffer.getvalue()


OTHERS = {
    "empty": b"",
    "text": b"hello, world\n",
    "html": b"<!DOCTYPE html><html>Too many users have viewed or downloaded this file recently</html>",
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "picture": picture(),
    "npz": arrays(),
    "gzip": gzip.compress(b"hello"),
    "a list": pickle.dumps([1, 2, 3]),
    "a dict": pickle.dumps({"generator": {}}),
    "G_ema is none": pickle.dumps({"G_ema": None}, 3),
    "three numbers": pickle.dumps((1, 2, 3)),
    "a number": pickle.dumps(7),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_file(tmp_path, kind):
    (tmp_path / "file").write_bytes(OTHERS[kind])
    with pytest.raises(ConvertError) as error:
        convert(tmp_path / "file", tmp_path / "model")
    assert "\n" not in str(error.value)
    assert str(tmp_path / "file") in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["nvlabs", "tensorflow", "zip", "legacy"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.9, 0.999])
def test_truncated(tmp_path, kind, part):
    source = good(tmp_path, kind)
    content = source.read_bytes()
    source.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ConvertError) as error:
        convert(source, tmp_path / "model")
    assert "truncated" in str(error.value)
    assert "\n" not in str(error.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["good"]


@pytest.mark.parametrize("kind", ["nvlabs", "tensorflow", "zip", "legacy"])
def test_scrambled_files_are_refused_or_read_but_never_crash(tmp_path, kind):
    source = good(tmp_path, kind)
    content = source.read_bytes()
    random = np.random.RandomState(0)
    for _ in range(60):
        scrambled = bytearray(content)
        for place in random.randint(0, len(content), 8):
            scrambled[place] = random.randint(256)
        for place in random.randint(0, 4000, 4):
            scrambled[place] = random.randint(256)
        source.write_bytes(scrambled)
        with contextlib.suppress(ConvertError), converter.opened(source) as found:
            found.generator.read()


def test_a_taken_place(tmp_path):
    source, out = good(tmp_path, "tensorflow"), tmp_path / "model"
    convert(source, out)
    before = read_card(out)
    with pytest.raises(ConvertError, match="is there already; --force"):
        convert(source, out)
    convert(source, out, force=True)
    # Orbax gives its data files random names.
    assert dataclasses.replace(read_card(out), files=before.files) == before


def test_force_replaces_model_folders_only(tmp_path):
    source = good(tmp_path, "tensorflow")
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.txt").write_text("…")
    (tmp_path / "notes.txt").write_text("…")
    for place in (thesis, tmp_path / "notes.txt", tmp_path):
        with pytest.raises(ConvertError, match="not a model folder"):
            convert(source, place, force=True)
    assert (thesis / "chapter1.txt").exists()


def test_force_does_not_delete_the_source(tmp_path):
    out = tmp_path / "model"
    convert(good(tmp_path, "tensorflow"), out)
    source = (tmp_path / "good").rename(out / "good")
    with pytest.raises(ConvertError, match="which --force would delete"):
        convert(source, out, force=True)
    assert source.exists()


def test_force_does_not_replace_a_symbolic_link(dragspace, tmp_path):
    source, out, link = good(tmp_path, "tensorflow"), tmp_path / "model", tmp_path / "link"
    convert(source, out)
    link.symlink_to(out)
    result = dragspace("convert", source, link, "--force")
    assert result.exit_code == 2
    assert "is a symbolic link" in result.output
    assert result.output.count("\n") == 1
    assert link.is_symlink()
    assert (out / "config.json").is_file()


def test_a_model_folder_is_not_converted_again(dragspace, tmp_path):
    convert(good(tmp_path, "tensorflow"), tmp_path / "model")
    result = dragspace("convert", tmp_path / "model", tmp_path / "again")
    assert result.exit_code == 2
    assert "is a model folder already" in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "again").exists()


def test_a_failing_force_keeps_what_was_there(tmp_path):
    out = tmp_path / "model"
    convert(good(tmp_path, "tensorflow"), out)
    card = read_card(out)
    (tmp_path / "bad").write_bytes(b"bad")
    with pytest.raises(ConvertError):
        convert(tmp_path / "bad", out, force=True)
    assert read_card(out) == card


@pytest.mark.parametrize("kind", ["nvlabs", "tensorflow", "zip", "legacy"])
def test_command(dragspace, tmp_path, kind):
    source = good(tmp_path, kind)
    result = dragspace("convert", source, tmp_path / "model")
    assert result.exit_code == 0, result.output
    assert "16 px skip generator" in result.output
    facts = json.loads(dragspace("inspect", tmp_path / "model", "--json").output)
    of_source = json.loads(dragspace("inspect", source, "--json").output)
    assert facts["generator"] == of_source["generator"]
    assert facts["source"] == of_source["source"]
    assert facts["source"]["sha256"] == converter.sha256(source)
    for what in (source, tmp_path / "model"):
        result = dragspace("inspect", what)
        assert result.exit_code == 0
        assert "16 px" in result.output
        assert "10 at 4, 10 at 8, 6 at 16" in result.output


def test_command_says_that_the_mean_w_was_computed(dragspace, tmp_path):
    config = small_generator()
    content = write_rosinality.content(config, random_parameters(config), kind="bare")
    source = write_rosinality.write(tmp_path / "r.pt", content)
    says = "computed from 10,000 samples, seed 0"
    for arguments in (("inspect", source), ("convert", source, tmp_path / "m"), ("inspect", tmp_path / "m")):
        result = dragspace(*arguments)
        assert result.exit_code == 0, result.output
        assert says in result.output


def test_command_with_discriminator(dragspace, tmp_path):
    result = dragspace("convert", good(tmp_path, "nvlabs"), tmp_path / "model", "--with-discriminator")
    assert result.exit_code == 0, result.output
    assert read_card(tmp_path / "model").discriminator == small_discriminator()


@pytest.mark.parametrize("command", ["convert", "inspect"])
@pytest.mark.parametrize("content", [b"hello", pickle.dumps(torch.load, 3), pickle.dumps((1, 2, 3))])
def test_command_errors(dragspace, tmp_path, command, content):
    (tmp_path / "file").write_bytes(content)
    arguments = [tmp_path / "file", tmp_path / "model"] if command == "convert" else [tmp_path / "file"]
    result = dragspace(command, *arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_command_without_a_file(dragspace, tmp_path):
    for arguments in (("convert", tmp_path / "no.pkl", tmp_path / "m"), ("inspect", tmp_path / "no.pkl")):
        result = dragspace(*arguments)
        assert result.exit_code == 2
        assert "no.pkl" in result.output


def test_a_place_that_cannot_be(dragspace, tmp_path):
    source = good(tmp_path, "tensorflow")
    result = dragspace("convert", source, source / "model")
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
