"""Disentanglement, completeness and informativeness of codes that are to tell factors apart (DCI).

Source: Eastwood and Williams, A framework for the quantitative evaluation of disentangled representations (ICLR 2018),
section 2, as StyleSpace (arXiv 2011.12799, section 3) measures spaces of latents: the codes are a space's coordinates,
the factors attributes of the images, the importances those of gradient boosting that tells an attribute's extremes
apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float64

from dragspace_jax.errors import DragspaceError

_NEVER_ZERO = 1e-11  # added to importances, so that a row of zeros has an entropy, as the published scores have it
_ROUNDING = 1e-12  # of importances, which scikit-learn finds as differences
EXTREMES = 0.02
"""Share of the samples at each end of an attribute that are told apart; half of them to learn, half to test."""
RESAMPLED = 1000


class DCIError(DragspaceError):
    """Importances or samples that have no scores."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class DCI:
    """Scores of one space.

    Attributes:
      importance: [codes, factors], not negative.
      accuracy: [factors], on the extremes that were not learned from.
    """

    importance: Float64[np.ndarray, "C F"]
    accuracy: Float64[np.ndarray, " F"]

    @property
    def scores(self) -> dict[str, float]:
        """By name, each from 0 to 1, 1 being the best."""
        return {
            "disentanglement": disentanglement(self.importance),
            "completeness": completeness(self.importance),
            "informativeness": float(self.accuracy.mean()),
        }

    def intervals(self, *, samples: int = RESAMPLED, seed: int = 0) -> dict[str, tuple[float, float]]:
        """95 % intervals of the scores, by drawing anew what they are means of: codes, or factors."""
        random = np.random.RandomState(seed)
        rows, columns = _checked(self.importance), _checked(self.importance.T)
        equal = np.ones(len(self.accuracy))
        parts = {
            "disentanglement": (_order(rows), rows.sum(1)),
            "completeness": (_order(columns), columns.sum(1)),
            "informativeness": (self.accuracy, equal),
        }
        found = {}
        for name, (values, weights) in parts.items():
            chosen = random.randint(0, len(values), (samples, len(values)))
            totals = weights[chosen].sum(1)
            means = (values * weights)[chosen].sum(1) / np.where(totals > 0, totals, 1.0)
            low, high = np.quantile(means, (0.025, 0.975))
            found[name] = float(low), float(high)
        return found


def disentanglement(importance: Float[np.ndarray, "C F"]) -> float:
    """1 − the entropy of each code's importances, in units of that of equal ones, weighted by the code's share.

    Raises:
      DCIError: importances that are negative, not finite, all zero, or of fewer than two factors.
    """
    values = _checked(importance)
    return float(np.sum(_order(values) * values.sum(1) / values.sum()))


def completeness(importance: Float[np.ndarray, "C F"]) -> float:
    """The same of each factor's importances over the codes. Raises DCIError."""
    values = _checked(np.asarray(importance).T)
    return float(np.sum(_order(values) * values.sum(1) / values.sum()))


def _order(rows: Float64[np.ndarray, "R C"]) -> Float64[np.ndarray, " R"]:
    """1 − the entropy of each row to the base of its length."""
    shares = rows + _NEVER_ZERO
    shares = shares / shares.sum(1, keepdims=True)
    return 1.0 + np.sum(shares * np.log(shares), 1) / np.log(rows.shape[1])


def _checked(importance: Float[np.ndarray, "R C"]) -> Float64[np.ndarray, "R C"]:
    values = np.asarray(importance, np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise DCIError(f"importances have shape {values.shape}; at least two codes and two factors are needed")
    if not np.isfinite(values).all() or (values < -_ROUNDING).any() or not values.any():
        raise DCIError("importances must be finite and not negative, and some of them positive")
    return np.maximum(values, 0.0)


def dci(
    codes: Float[np.ndarray, "n C"],
    factors: Float[np.ndarray, "n F"],
    *,
    names: Sequence[str] | None = None,
    on_factor: Callable[[int], None] | None = None,
) -> DCI:
    """Fit a gradient boosting classifier a factor, which tells its extremes apart by the codes.

    Args:
      codes: of n samples, in any units.
      factors: likewise; each should vary.
      names: of the factors, for messages.
      on_factor: called with 1 after every factor.

    Raises:
      DCIError: too few samples, numbers that are not finite, a factor that is constant, or no scikit-learn.
    """
    try:
        from sklearn.ensemble import GradientBoostingClassifier
    except ImportError as error:
        raise DCIError("scores of disentanglement need scikit-learn: pip install 'dragspace-jax[study]'") from error
    few = int(EXTREMES * len(codes)) // 2
    if codes.shape[0] != factors.shape[0] or few < 2:
        raise DCIError(
            f"{codes.shape[0]} samples of codes and {factors.shape[0]} of factors: as many of both are needed, "
            f"{int(4 / EXTREMES)} at least"
        )
    if not (np.isfinite(codes).all() and np.isfinite(factors).all()):
        raise DCIError("codes and factors must be finite")
    importance, accuracy = np.zeros((codes.shape[1], factors.shape[1])), np.zeros(factors.shape[1])
    for factor, values in enumerate(np.asarray(factors).T):
        if values.min() == values.max():
            name = str(factor) if names is None else names[factor]
            raise DCIError(f"factor {name} is the same in all samples; leave it out")
        order = np.argsort(values, kind="stable")
        low, high = order[: 2 * few], order[-2 * few :]
        learned, tested = np.concatenate([low[::2], high[::2]]), np.concatenate([low[1::2], high[1::2]])
        is_high = np.repeat([0, 1], few)
        model = GradientBoostingClassifier(random_state=0).fit(codes[learned], is_high)
        importance[:, factor] = model.feature_importances_
        accuracy[factor] = model.score(codes[tested], is_high)
        if on_factor is not None:
            on_factor(1)
    return DCI(importance=importance, accuracy=accuracy)


def balanced(
    factors: Float[np.ndarray, "n F"], thresholds: Float[np.ndarray, " F"], *, share: float = 0.05
) -> np.ndarray:
    """Which factors count, [F]: those with more than a share of the samples on each side of their threshold."""
    above = (np.asarray(factors) > thresholds).mean(0)
    return (above > share) & (above < 1 - share)
