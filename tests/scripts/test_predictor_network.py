"""The predictor that is trained against the one that reads; what its training softens and tells."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from dragspace_jax.critters.attributes import NAMES
from dragspace_jax.critters.predictor import SIDE, Predictor
from dragspace_jax.networks.parameters import parameters
from scripts.predictor_errors import states
from scripts.predictor_network import read
from scripts.predictor_pictures import softened


def test_torch_and_jax_read_the_same():
    predictor = Predictor(rngs=nnx.Rngs(0))
    values = {name: torch.tensor(np.asarray(value)) for name, value in parameters(predictor).items()}
    images = np.array(jax.random.uniform(jax.random.key(1), (2, SIDE, SIDE, 3), minval=-1.0))
    with torch.no_grad():
        exact = read(values, torch.tensor(images), torch.float32)
        rounded = read(values, torch.tensor(images))
    reading = nnx.jit(Predictor.__call__)(predictor, jnp.asarray(images))
    for wanted, same, near in zip(reading, exact, rounded, strict=True):
        assert same.shape == wanted.shape
        np.testing.assert_allclose(same.numpy(), wanted, atol=2e-4 * np.abs(wanted).max())
        assert np.abs(near.numpy() - wanted).mean() < 0.02 * np.abs(wanted).mean()


def test_a_plain_picture_is_softened_into_a_plain_one():
    plain = torch.full((2, SIDE, SIDE, 3), 0.5)
    first, again = (softened(plain, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert ((first - 0.5).abs() < 0.3).all()
    assert ((first.mean((1, 2)) - 0.5).abs() < 0.06).all()  # relit by 0.03 and 4 %


def test_errors_of_openings_are_told_by_state():
    truth = np.zeros((3, len(NAMES)), np.float32)
    truth[:, NAMES.index("mouth_opening")] = [0.1, 0.3, 0.8]
    columns = [NAMES.index(f"eye_opening_{side}") for side in ("left", "right")]
    truth[:, columns] = [[0.1, 0.9], [0.2, 0.4], [0.7, 0.8]]
    read_off = truth.copy()
    read_off[:2, columns[0]] += [0.1, 0.3]
    told = states(read_off, {"attribute": truth})
    assert told["eye closed"] == {"count": 2, "rms": 0.224, "mean": 0.2}
    assert told["eye narrow"] == {"count": 1, "rms": 0.0, "mean": 0.0}
    assert told["eye wide"]["count"] == 3
