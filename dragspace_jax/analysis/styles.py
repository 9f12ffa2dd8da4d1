"""Style channels of a model: their names and numbers, and how they vary over the model's samples.

Source: StyleSpace (arXiv 2011.12799), section 3: S is what the affine maps make of w, ToRGB included.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Float64

from dragspace_jax.critters.channel_tables import channel_table
from dragspace_jax.errors import DragspaceError
from dragspace_jax.inputs import label_vector
from dragspace_jax.networks.parameters import fingerprint
from dragspace_jax.spaces import PCA
from dragspace_jax.spaces.cached import cached_pca
from dragspace_jax.spaces.channels import Channels
from dragspace_jax.spaces.chosen_channels import chosen_channels
from dragspace_jax.spaces.fit import DEFAULT_SAMPLES, fit_pca
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.synthesis import Synthesis


class ChannelError(DragspaceError):
    """A style channel that the model has not, or that cannot be moved."""

    def __init__(self, message: str) -> None:
        super().__init__(message, field="channel")


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class StyleStatistics:
    """Mean and deviation of every style channel over samples that are not truncated.

    Attributes:
      mean: {name of a convolution: [C]}, in the order of the network, ToRGB included.
      deviation: likewise; population deviations (over n, not n − 1).
    """

    mean: dict[str, Float64[np.ndarray, " C"]]
    deviation: dict[str, Float64[np.ndarray, " C"]]

    def without_rgb(self) -> StyleStatistics:
        """Those of the convolutions that are no ToRGB."""
        kept = [name for name in self.mean if not name.endswith(".torgb")]
        return StyleStatistics(
            mean={name: self.mean[name] for name in kept}, deviation={name: self.deviation[name] for name in kept}
        )


def style_statistics(
    model: Generator, *, samples: int | None = None, seed: int = 0, label: int | None = None
) -> StyleStatistics:
    """Mean and deviation of the style channels over the model's samples.

    A channel is an affine function of w, so both follow exactly from the mean and the covariance of W, which are summed
    in a stream in float64 (`spaces.fit`): no style is sampled, and memory does not grow with the samples.

    Args:
      model: the generator.
      samples: number of latents; None: the 100,000 of seed 0 whose basis is kept in the user's cache.
      seed: of the latents, if `samples` are given.
      label: class of the samples, for a model with classes.

    Raises:
      SpaceError: fewer than two samples, or a mapping network that is constant.
      InputError: the label does not fit the model.
    """
    if samples is None:
        basis, count = cached_pca(model, label), DEFAULT_SAMPLES
    else:
        one_hot = label_vector(model.config, label)
        vector = None if one_hot is None else jnp.asarray(one_hot[0])
        basis, count = fit_pca(model, samples=samples, seed=seed, label=vector), samples
    return _of_basis(model.synthesis, basis, (count - 1) / count)


def _of_basis(synthesis: Synthesis, basis: PCA, share: float) -> StyleStatistics:
    """From W's mean and principal components; `share` turns their variances into the population's."""
    mean = np.asarray(basis.mean, np.float64)
    deviations = np.sqrt(share * np.asarray(basis.variance, np.float64))
    axes = deviations[:, None] * np.asarray(basis.components, np.float64)
    means, spreads = {}, {}
    for name, (weight, bias) in affine_maps(synthesis).items():
        means[name] = mean @ weight + bias
        spreads[name] = np.sqrt(np.sum(np.square(axes @ weight), 0))
    return StyleStatistics(mean=means, deviation=spreads)


def affine_maps(
    synthesis: Synthesis,
) -> dict[str, tuple[Float64[np.ndarray, "D C"], Float64[np.ndarray, " C"]]]:
    """{name of a convolution: weight and bias of its map from w to styles}, gains included."""
    found = {}
    for name in synthesis.layer_of():
        affine = synthesis.convolution(name).affine
        weight = np.asarray(affine.weight[...], np.float64) * affine.weight_gain
        found[name] = weight, np.asarray(affine.bias[...], np.float64) * affine.bias_gain
    return found


def channel_of(model: Generator, layer: str | int, index: int) -> tuple[str, int]:
    """A channel by its convolution's name, or by the published number, which counts ToRGB layers from 0.

    (6, 501) is channel 501 of `b16.conv1`, as StyleSpace has it.

    Raises:
      ChannelError: the model has no such layer or channel.
    """
    channels = model.synthesis.style_channels()
    names = list(channels)
    number = int(layer) if isinstance(layer, int | np.integer) or layer.isdecimal() else None
    if number is not None and not 0 <= number < len(names):
        raise ChannelError(f"channel {layer}:{index}: layers are numbered 0 to {len(names) - 1}, ToRGB included")
    name = str(layer) if number is None else names[number]
    if name not in channels:
        raise ChannelError(f"channel {layer}:{index}: the model has no layer {layer!r}; it has {', '.join(names)}")
    if not 0 <= index < channels[name]:
        raise ChannelError(f"channel {layer}:{index}: {name} has channels 0 to {channels[name] - 1}")
    return name, index


def channel_offset(
    model: Generator, statistics: StyleStatistics, layer: str | int, index: int
) -> dict[str, Float32[np.ndarray, " C"]]:
    """The offset of styles that moves one channel by one deviation. Raises ChannelError, also where it never varies."""
    name, index = channel_of(model, layer, index)
    offset = np.zeros(len(statistics.deviation[name]), np.float32)
    offset[index] = _deviation(statistics, name, index)
    return {name: offset}


def channel_space(
    model: Generator,
    channels: Sequence[tuple[str | int, int]] | str,
    *,
    statistics: StyleStatistics | None = None,
    label: int | None = None,
) -> Channels:
    """A space to drag in: chosen style channels, each in its deviations.

    Args:
      model: the generator.
      channels: (convolution's name or published number, index), each once; or a text as `--channels` takes it: regions
        of an embedded model, `ear`, or of a table, `channels.csv:ear`.
      statistics: of the model; None: those of its 100,000 samples.
      label: class of these samples, for a model with classes.

    Raises:
      SpaceError: a text that names no channels.
      ChannelError: no channels, one twice, or one that the model has not or that never varies.
    """
    chosen: dict[str, list[int]] = {}
    if isinstance(channels, str):
        channels = chosen_channels(channels, channel_table(fingerprint(model)))
    for layer, number in channels:
        name, index = channel_of(model, layer, number)
        if index in chosen.setdefault(name, []):
            raise ChannelError(f"channel {name}:{index} is there twice")
        chosen[name].append(index)
    if not chosen:
        raise ChannelError("channel: at least one is needed to move in")
    known = style_statistics(model, label=label) if statistics is None else statistics
    deviations = {name: [_deviation(known, name, k) for k in indices] for name, indices in chosen.items()}
    return Channels(
        index={name: jnp.asarray(indices, jnp.int32) for name, indices in chosen.items()},
        deviation={name: jnp.asarray(each, jnp.float32) for name, each in deviations.items()},
        model=fingerprint(model),
    )


def _deviation(statistics: StyleStatistics, name: str, index: int) -> float:
    deviation = statistics.deviation[name]
    if not deviation[index] > 1e-6 * deviation.max():
        raise ChannelError(f"channel {name}:{index} does not vary over the model's samples, so it has no deviation")
    return float(deviation[index])
