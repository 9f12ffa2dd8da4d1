"""Names the packages: everything under `dragspace_jax`, and `convert/` as `dragspace_jax.convert`.

A package called `convert` would squat a common name, so it is mapped on installation. All other metadata
stands in pyproject.toml, which cannot express a package search together with such a mapping.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["dragspace_jax", "dragspace_jax.*"]), "dragspace_jax.convert"],
    package_dir={"dragspace_jax.convert": "convert"},
)
