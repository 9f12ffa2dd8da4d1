"""rosinality files: zip and legacy, with and without latent_avg; what is refused."""

from __future__ import annotations

import pytest

from dragspace_jax.convert import opened

from .networks import ours, random_parameters, small_generator
from .test_nvlabs import assert_same
from .write_rosinality import content, write

CONFIG = small_generator()


def without_w_avg(values):
    return {name: value for name, value in values.items() if name != "mapping.w_avg"}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_round_trip(tmp_path, zipped, protocol):
    arrays = random_parameters(CONFIG)
    if protocol > 2 and protocol != 4:
        pytest.skip("torch's own reader opens protocols 2 and 4")
    source = write(tmp_path / "r.pt", content(CONFIG, arrays, kind="converted"), zipped=zipped, protocol=protocol)
    with opened(source) as found:
        assert found.format == "rosinality"
        assert found.generator.config == CONFIG
        assert_same(found.generator.read(), ours(arrays))
