"""Names the packages: everything under `dragspace_jax`, `convert/` and `benchmarks/` below it.

Packages called `convert` and `benchmarks` would squat common names, so they are mapped on installation. All other
metadata stands in pyproject.toml, which cannot express a package search together with such a mapping.
"""

from setuptools import find_packages, setup

MAPPED = ("convert", "benchmarks")

setup(
    packages=[
        *find_packages(include=["dragspace_jax", "dragspace_jax.*"]),
        *(f"dragspace_jax.{name}" for top in MAPPED for name in find_packages(include=[top, f"{top}.*"])),
    ],
    package_dir={f"dragspace_jax.{top}": top for top in MAPPED},
)
