"""The golden arrays are what their README says, those that no code is held against yet included."""

from __future__ import annotations

import re

import numpy as np

from .compare import GOLDEN, below, golden_arrays

README = (GOLDEN / "README.md").read_text()


def test_the_readme_lists_every_file():
    rows = re.findall(r"^\| `(\w+\.npz)` \| ([\d,]+) \|", README, re.MULTILINE)
    listed = {name: int(size.replace(",", "")) for name, size in rows}
    assert listed == {path.name: path.stat().st_size for path in GOLDEN.glob("*.npz")}


def test_lowrank():
    """What stands in the README of M, L, S and the two vectors, from the Jacobian alone."""
    arrays = golden_arrays("lowrank_d32")
    mask = arrays["mask"]
    axes = {}
    for region, chosen in (("fore", mask == 1), ("back", mask == 0)):
        part = below(arrays, f"{region}/")
        jacobian = arrays["jacobian"][chosen].reshape(-1, 32)
        np.testing.assert_allclose(jacobian.T @ jacobian / chosen.sum(), part["M"], atol=1e-12)
        np.testing.assert_allclose(part["L"] + part["S"], part["M"], atol=1e-12)
        vectors, values, _ = np.linalg.svd(part["L"])
        assert np.sum(values > 1e-6 * values[0]) == part["rank"]
        axes[region] = vectors[:, : part["rank"]]
    principal, projected = arrays["principal"][0], arrays["projected"][0]
    assert abs(principal @ axes["fore"][:, 0]) > 1 - 1e-9
    rest = principal - axes["back"] @ (axes["back"].T @ principal)
    np.testing.assert_allclose(rest / np.linalg.norm(rest), projected, atol=1e-9)


def _informedness(importance: np.ndarray) -> float:
    """Mean over rows of one minus their entropy, weighted by the rows' shares of the whole."""
    share = importance / importance.sum(1, keepdims=True)
    entropy = -np.sum(share * np.log(np.where(share > 0, share, 1.0)), 1) / np.log(share.shape[1])
    return float(np.sum((1.0 - entropy) * importance.sum(1) / importance.sum()))


def test_dci():
    arrays = golden_arrays("dci_40x7")
    importance = np.abs(arrays["importance"])
    assert abs(_informedness(importance) - arrays["disentanglement"]) < 1e-8
    assert abs(_informedness(importance.T) - arrays["completeness"]) < 1e-8
