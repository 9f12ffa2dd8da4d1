"""What an installation holds."""

import importlib
import importlib.metadata
import importlib.resources
from pathlib import Path

import pytest

import dragspace_jax

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["dragspace_jax.convert", "dragspace_jax.benchmarks"])
def test_top_folders_install_under_the_package(name):
    assert importlib.import_module(name).__name__ == name


def test_every_folder_with_code_is_a_package():
    """The package search of setup.py passes over folders without `__init__.py`."""
    folders = {path.parent for top in ("dragspace_jax", "convert", "benchmarks") for path in (ROOT / top).rglob("*.py")}
    assert sorted(f for f in folders if not (f / "__init__.py").exists()) == []


def test_running_needs_neither_torch_nor_tensorflow():
    requirements = importlib.metadata.requires("dragspace-jax") or []
    needed = [r for r in requirements if "extra ==" not in r]
    assert needed
    assert not [r for r in needed if r.startswith(("torch", "tensorflow"))]


def test_the_extra_torch_is_all_that_names_it():
    requirements = importlib.metadata.requires("dragspace-jax") or []
    assert [r.split(";")[1].strip() for r in requirements if r.startswith("torch")] == ['extra == "torch"']


def test_the_version_is_that_of_the_installation():
    assert dragspace_jax.__version__ == importlib.metadata.version("dragspace-jax")


def test_types_are_marked_as_shipped():
    assert importlib.resources.files("dragspace_jax").joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", dragspace_jax.__all__)
def test_public_names(name):
    assert getattr(dragspace_jax, name) is not None
    assert name in dir(dragspace_jax)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dragspace_jax.nothing
