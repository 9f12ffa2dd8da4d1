"""This implementation: `drag_one` as a user calls it, and what its engines compute and read.

The only file of the benchmarks that knows the drag loop's inner parts.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from dragspace_jax.drag import DragResult, DragSettings, drag_one
from dragspace_jax.drag.supervision import MotionSupervision
from dragspace_jax.stylegan2 import Latents
from dragspace_jax.stylegan2.network import PreparedSynthesis, make_plan

from .case import Case, Run, Sample
from .device_rates import Precision
from .flops import Span, Work, span_work, whole_spans

Engine = Literal["whole", "window"]
REPEATS = 3
MOVING = 6
"""Latents that a drag moves by default."""


def drag(sample: Sample, case: Case, iterations: int, engine: Engine | None = None) -> DragResult:
    """One drag of the case; `engine` None is what `drag_one` chooses itself."""
    settings = DragSettings(learning_rate=case.learning_rate, steps=iterations, engine=engine)
    return drag_one(sample.model, sample.ws0, case.points_yx, case.targets_yx, mask=case.mask, settings=settings)


def run(sample: Sample, case: Case, iterations: int, warmup: int, engine: Engine | None = None) -> Run:
    """Drag `warmup` times, then `REPEATS` times timed; a whole drag, its set-up included, over its iterations.

    `first_ms` is the first iteration, compilation included.
    """
    results = [drag(sample, case, iterations, engine) for _ in range(warmup + REPEATS)]
    timed = results[warmup:]
    trace = timed[-1].trace
    assert trace is not None  # every drag that ran has one
    return Run(
        first_ms=1e3 * (results[0].compile_seconds + results[0].seconds / results[0].steps),
        compile_seconds=results[0].compile_seconds,
        iteration_ms=np.array([1e3 * result.seconds / result.steps for result in timed]),
        handles_yx=trace.handles_yx,
        latents=timed[-1].traced_latents().ws,
    )


def spans(case: Case, engine: Engine | None = None) -> list[Span]:
    """The positions that an iteration computes: windows, one per handle, or the whole map up to the feature block."""
    settings = DragSettings(engine=engine).resolved(case.config, masked=case.masked)
    handles = len(case.points)
    plan = make_plan(
        case.config,
        block=settings.feature_block or 0,
        reach=MotionSupervision().reach(settings, case.side),
        handles=handles,
        windows=settings.engine == "window",
    )
    windows = {window.resolution: window for window in plan.blocks}
    return [
        span
        if span.resolution not in windows
        else Span(
            resolution=span.resolution,
            conv0_inputs=handles * windows[span.resolution].reads ** 2,
            conv1_outputs=handles * windows[span.resolution].gives ** 2,
        )
        for span in whole_spans(case.config, plan.top)
    ]


def work(case: Case, engine: Engine | None = None) -> Work:
    """What an iteration computes: its spans forward, and the gradient of the inputs over them backward."""
    return span_work(case.config, spans(case, engine))


def features_and_gradient(
    sample: Sample, handles_yx: np.ndarray, engine: Engine, dtype: Precision
) -> tuple[np.ndarray, np.ndarray]:
    """All that tracking and motion supervision may read, and a gradient through it.

    Args:
      handles_yx: [N, 2], whole pixels.

    Returns:
      Patches around the handles, and the gradient of a random sum of them by the first six latents.
    """
    side = sample.model.config.resolution
    settings = DragSettings(engine=engine, dtype=dtype).resolved(sample.model.config)
    reach = MotionSupervision().reach(settings, side)
    handles = jnp.asarray(handles_yx, jnp.float32)

    def weighed(moving: jax.Array, fixed: jax.Array, ready: PreparedSynthesis) -> tuple[jax.Array, jax.Array]:
        styles = ready.styles(Latents(ws=jnp.concatenate([moving, fixed])[None]))
        reader = ready.features(styles, handles, jnp.zeros(len(handles), jnp.int32))
        patches = reader.patches(handles.astype(jnp.int32) - reach - 1, 2 * reach + 2)
        return jnp.sum(patches * jax.random.normal(jax.random.key(1), patches.shape)), patches

    ready = sample.model.prepare(
        block=settings.feature_block or 0,
        reach=reach,
        handles=1,
        windows=settings.engine == "window",
        noise=settings.noise,
        dtype=settings.dtype,
        platform=jax.devices()[0].platform,
    )
    ws = jnp.asarray(sample.ws0)
    gradient, patches = jax.jit(jax.grad(weighed, has_aux=True))(ws[:MOVING], ws[MOVING:], ready)
    return np.asarray(patches), np.asarray(gradient)
