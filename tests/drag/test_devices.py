"""Lanes divided among eight simulated devices give what one device gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DRAG_ON_EIGHT = """
import sys
import jax
import numpy as np
from dragspace_jax.checkpoint import load
from dragspace_jax.drag import DragSettings, EditRequest, drag_many

# Rounding may turn the sign of a feature difference near zero, and with it a step: not with this seed.
model, random = load(sys.argv[1]), np.random.RandomState(1)
assert len(jax.local_devices()) == 8
mask = np.zeros((32, 32), np.float32)
mask[26:] = 1
edits = []
for i in range(21):
    handles = random.randint(6, 26, (1 + i % 3, 2))
    ws = np.asarray(model.mapping(random.randn(1, 16).astype(np.float32)))[0]
    targets = np.clip(handles + random.randint(-5, 6, handles.shape), 0, 31)
    # Short, so that rounding does not grow.
    settings = DragSettings(learning_rate=0.03, steps=3 + i % 8, feature_block=16)
    masked = mask if i >= 18 else None
    edits.append(
        EditRequest(id=str(i), latents=ws, handles_yx=handles, targets_yx=targets, settings=settings, mask=masked)
    )

def run(devices):
    batch = drag_many(model, edits, lanes=8, chunk=4, device=devices, recipe="published")
    return {result.id: result for result in batch}, batch.stats

one, _ = run(jax.local_devices()[:1])
eight, stats = run(None)
assert set(one) == set(eight) == {edit.id for edit in edits}
for name, alone in one.items():
    spread = eight[name]
    assert (alone.outcome, alone.steps) == (spread.outcome, spread.steps), name
    np.testing.assert_array_equal(alone.trace.handles_yx, spread.trace.handles_yx)
    np.testing.assert_allclose(alone.ws, spread.ws, atol=1e-3)
assert 0 < stats.occupancy <= 1
print("equal")
"""


def test_eight_devices_give_what_one_gives(tiny_folder: Path, eight_devices: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DRAG_ON_EIGHT, str(tiny_folder)],
        env=eight_devices,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "equal"
