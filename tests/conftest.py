"""Strict arithmetic for all tests, a small random model, and no traces in the user's folders."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the tests' time is compiling. This holds for the processes that they start as well; a module that needs
# programs as users run them asks for `optimised`.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "true"

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from click.testing import CliRunner, Result
from flax import nnx
from jaxtyping import jaxtyped

CHECKED = (
    "dragspace_jax.networks",
    "dragspace_jax.stylegan2",
    "dragspace_jax.biggan",
    "dragspace_jax.spaces",
    "dragspace_jax.drag",
)
"""Packages whose every call is held to its annotations while tests run, shapes and agreeing axes included."""
# A whole number may stand for a float, as in PEP 484; what is `Self` only whole classes would know.
_CONF = BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({Self: Any}))


def _functions_only(**_: object) -> Callable[[Any], Any]:
    """What the hook decorates with. Dataclasses may hold anything: JAX makes pytrees of any leaves and leading axes."""
    check = jaxtyped(typechecker=beartype(conf=_CONF))
    return lambda decorated: decorated if inspect.isclass(decorated) else check(decorated)


jaxtyping.jaxtyped = _functions_only  # type: ignore[assignment]  # the name that the hook's decorators go by
jaxtyping.install_import_hook(CHECKED, typechecker=None)

from dragspace_jax import lowered_files
from dragspace_jax.building import build_generator
from dragspace_jax.checkpoint import save_parameters
from dragspace_jax.drag.programs import programs_for
from dragspace_jax.networks.parameters import parameters
from dragspace_jax.stylegan2.config import GeneratorConfig, channel_table
from dragspace_jax.stylegan2.generator import Generator

# What is converted or broadcast shall be written out; an implicit promotion is how float64 and [N, N] creep in.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config: pytest.Config) -> None:
    """Keep compiled programs in pytest's cache folder, so that a second run of the tests compiles nothing again."""
    assert config.cache is not None
    folder = str(config.cache.mkdir("jax-compiled"))
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder  # for the processes that tests start
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


# Tracing makes millions of objects that hold each other; looking through all of them, and through what is imported, for
# garbage would take an eighth of the tests' time.
gc.freeze()
gc.set_threshold(100_000, 20, 20)

_DEAR = (
    "critters/test_realism", "parity/test_drag_parity", "critters/test_renderer", "parity/test_generator_parity",
    "critters/test_predictor", "test_readme", "drag/test_lanes", "scripts/test_on_gpu", "drag/test_windows",
    "cli/test_drag", "parity/test_drag_cases", "drag/test_least_change", "drag/test_devices",
    "parity/test_generator_cases", "cli/test_batch", "drag/test_seams", "scripts/test_dragganspace_study",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that processes that share the tests by files end together."""
    root = Path(__file__).parent
    names = (f"{name}.py" for name in _DEAR)
    place = {root / name: number for number, name in enumerate(names)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session", autouse=True)
def _user_cache_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("user-cache")))
        yield


def drop_programs() -> None:
    """Forget every compiled program of this process."""
    programs_for.cache_clear()
    jax.clear_caches()


_folder_of_kept_programs = lowered_files.folder
lowered_files.folder = lambda: None  # keeping programs lowers each twice; they are kept for those who ask for it


@pytest.fixture
def programs_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are kept between runs, as for users."""
    monkeypatch.setattr(lowered_files, "folder", _folder_of_kept_programs)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Calls as users make them, for tests of what the library itself says of a wrong type or shape."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="module", autouse=True)
def _programs_are_dropped_in_time() -> Iterator[None]:
    """They hold memory maps, of which a process may have 65,530; until then a module finds what others compiled."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or maps.read_bytes().count(b"\n") > 10_000:  # about 2 GB
        drop_programs()


@pytest.fixture(scope="module")
def optimised() -> Iterator[None]:
    """Programs as they compile by default, none of which was compiled otherwise before."""
    drop_programs()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    drop_programs()


@pytest.fixture(scope="session")
def tiny_config() -> GeneratorConfig:
    """A 32 px generator: L = 8 layers, D = 16."""
    return GeneratorConfig(
        resolution=32, channels=channel_table(32, 256, 16), z_dim=16, w_dim=16, mapping_layers=2, conv_clamp=256.0
    )


@pytest.fixture(scope="session")
def tiny_generator(tiny_config: GeneratorConfig) -> Generator:
    """`tiny_config` with random weights; biases, noise strengths and w_avg too. Do not change it."""
    values = parameters(Generator(tiny_config, rngs=nnx.Rngs(0)))
    random = np.random.RandomState(0)
    for name, value in values.items():
        if name.endswith(("bias", "noise_strength", "w_avg")):
            values[name] = value + jnp.asarray(0.2 * random.standard_normal(value.shape), jnp.float32)
    return build_generator(tiny_config, values)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Generator) -> Path:
    """`tiny_generator` as a model folder; do not change it."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    values = {name: np.asarray(value) for name, value in parameters(tiny_generator).items()}
    save_parameters(folder, tiny_generator.config, values, source={"format": "random"})
    return folder


@pytest.fixture
def eight_devices() -> dict[str, str]:
    """The environment of a process that sees eight devices, and optimises as for users: its bars are for that."""
    flags = (
        "--xla_force_host_platform_device_count=8",
        "--xla_cpu_use_fusion_emitters=false",  # see the Makefile
        "--xla_cpu_parallel_codegen_split_count=1",
    )
    return os.environ | {
        "XLA_FLAGS": " ".join(flags),
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "false",
    }


@pytest.fixture
def dragspace():
    """Run the command line in this process: dragspace("generate", "--seeds", 0, …) → click's Result."""
    from dragspace_jax.cli.main import main

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(a) for a in arguments])

    return run
