"""The predictor that is trained against the one that reads."""

import jax
import numpy as np
import torch
from flax import nnx

from dragspace_jax.critters.predictor import SIDE, Predictor
from dragspace_jax.stylegan2.parameters import parameters
from scripts.predictor_network import read


def test_torch_and_jax_read_the_same():
    predictor = Predictor(rngs=nnx.Rngs(0))
    values = {name: torch.tensor(np.asarray(value)) for name, value in parameters(predictor).items()}
    images = np.array(jax.random.uniform(jax.random.key(1), (2, SIDE, SIDE, 3), minval=-1.0))
    with torch.no_grad():
        exact = read(values, torch.tensor(images), torch.float32)
        rounded = read(values, torch.tensor(images))
    for wanted, same, near in zip(nnx.jit(Predictor.__call__)(predictor, images), exact, rounded, strict=True):
        assert same.shape == wanted.shape
        np.testing.assert_allclose(same.numpy(), wanted, atol=2e-4 * np.abs(wanted).max())
        assert np.abs(near.numpy() - wanted).mean() < 0.02 * np.abs(wanted).mean()
