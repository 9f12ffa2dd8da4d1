"""The edits of a batch over the workers of a Ray cluster: Ray places workers, restarts them and carries the arrays.

Here is decided only who drags what. A worker holds a few edits ahead of its lanes; those of one that dies go to the
next that has room. An id is open from when it is first given until its first result, and what is not open is dropped,
so each comes out once whatever happens to workers.
"""

from __future__ import annotations

import dataclasses
import importlib
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import jax
import numpy as np

from dragspace_jax.batch.pictures import Pictures
from dragspace_jax.batch.ray_cluster import KEPT_SPACES, Cluster, WorkerOnRay, connect, places
from dragspace_jax.batch.worker import Ended, WorkerOptions
from dragspace_jax.drag import BatchError, BatchStats, EditRequest
from dragspace_jax.stylegan2 import Generator
from dragspace_jax.stylegan2.parameters import parameters

_USUAL_LANES = 16  # until a worker tells how many it has
_MOST_DEATHS = 8  # of a worker, one after the other without a result
_SECONDS_UNAVAILABLE = 300.0
_log = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class _Hand:
    """A worker, and what it has."""

    actor: Any
    held: dict[str, tuple[EditRequest, Any]] = dataclasses.field(default_factory=dict)
    stats: BatchStats = dataclasses.field(default_factory=BatchStats)
    before: BatchStats = dataclasses.field(default_factory=BatchStats)  # of its earlier lives
    call: Any = None
    steps: int = 0  # of all edits that it has ended
    deaths: int = 0
    unavailable_since: float | None = None


class RayWorkers(Iterable[Ended]):
    """Edits as they end, from all workers; `stats` tells at any time how they stand.

    Args:
      model: what is edited.
      edits: read as workers need them.
      cluster: where.
      lanes: of each worker, or `auto`.
      pictures: which images come with a result.
      remaining: how many edits have not ended, those that are still to be read included; an estimate will do.

    Raises (while iterating):
      BatchError: no cluster at the address, more workers than it has room for, or workers that die again and again.
    """

    def __init__(
        self,
        model: Generator,
        edits: Iterator[EditRequest],
        cluster: Cluster,
        *,
        lanes: int | Literal["auto"],
        pictures: Pictures,
        remaining: Callable[[], int],
    ) -> None:
        self._model, self._edits, self._cluster, self._remaining = model, edits, cluster, remaining
        self._lanes: int | Literal["auto"] = lanes
        self._pictures: Pictures = pictures
        self._ray: Any = importlib.import_module("ray")
        self._pending: deque[tuple[EditRequest, Any]] = deque()
        self._exhausted = False
        self._open: set[str] = set()
        self._spaces: OrderedDict[int, tuple[Any, Any]] = OrderedDict()
        self._hands: list[_Hand] = []
        self._options: Any = None
        self.deaths = 0

    @property
    def workers(self) -> int:
        """How many there are."""
        return len(self._hands)

    @property
    def stats(self) -> BatchStats:
        """The work of all workers; they compile beside each other, so of that the longest counts."""
        total = BatchStats(waiting=len(self._pending))
        for hand in self._hands:
            for name in ("lanes", "busy", "most_lanes", "done", "waiting"):
                setattr(total, name, getattr(total, name) + getattr(hand.stats, name))
            for name in ("lane_steps", "lane_steps_executed", "handle_steps", "handle_steps_executed"):
                setattr(total, name, getattr(total, name) + getattr(hand.stats, name) + getattr(hand.before, name))
            compiling = hand.stats.compile_seconds + hand.before.compile_seconds
            total.compile_seconds = max(total.compile_seconds, compiling)
        return total

    def __iter__(self) -> Iterator[Ended]:
        started = connect(self._ray, self._cluster)
        try:
            self._hire()
            while self._call():
                calls = {hand.call: hand for hand in self._hands if hand.call is not None}
                ready, _ = self._ray.wait(list(calls), num_returns=1, timeout=1.0)
                for call in ready:
                    yield from self._told(calls[call])
        finally:
            for hand in self._hands:
                self._ray.kill(hand.actor)
            if started:
                self._ray.shutdown()

    def _hire(self) -> None:
        """Ask Ray for the workers."""
        count, needs, cores = places(self._ray, self._cluster)
        parameters_of = {name: np.asarray(value) for name, value in parameters(self._model).items()}
        # Held here, since Ray starts workers again with it.
        self._options = self._ray.put(
            WorkerOptions(
                config=self._model.config,
                values=parameters_of,
                lanes=self._lanes,
                pictures=self._pictures,
                platform=self._cluster.platform,
                cores=cores,
                keeps_programs=jax.config.values["jax_enable_compilation_cache"]
                and bool(jax.config.values["jax_compilation_cache_dir"]),
            )
        )
        # A call that was under way is not repeated: other workers may have its edits by then.
        actors = self._ray.remote(max_restarts=-1, max_task_retries=0, **needs)(WorkerOnRay)
        self._hands = [_Hand(actors.remote([self._options], rank)) for rank in range(count)]

    def _call(self) -> bool:
        """Give every worker that waits for a call what it may have; whether any works."""
        for hand in self._hands:
            if hand.call is None:
                given, last = self._share(hand)
                if given or hand.held:
                    hand.call = hand.actor.exchange.remote(given, last=last)
        return any(hand.call is not None for hand in self._hands)

    def _share(self, hand: _Hand) -> tuple[list[tuple[EditRequest, Any]], bool]:
        """Further edits for a worker: twice its lanes, and no more than its part of what is left; are they the last?"""
        usual = self._lanes if isinstance(self._lanes, int) else _USUAL_LANES
        fair = max(1, math.ceil(self._remaining() / len(self._hands)))
        given: list[tuple[EditRequest, Any]] = []
        while len(hand.held) < min(2 * max(hand.stats.most_lanes, usual), fair) and self._another():
            each = self._pending.popleft()
            if each[0].id in self._open:
                hand.held[each[0].id] = each
                given.append(each)
        return given, len(hand.held) >= fair or not self._another()

    def _another(self) -> bool:
        """Whether an edit is pending, read now if none is."""
        if not self._pending and not self._exhausted:
            request = next(self._edits, None)
            if request is None:
                self._exhausted = True
            else:
                self._open.add(request.id)
                latents = jax.tree.map(np.asarray, request.latents)
                space = self._reference(request.space)
                self._pending.append((dataclasses.replace(request, latents=latents, space=None), space))
        return bool(self._pending)

    def _reference(self, space: Any) -> Any:
        """A space in Ray's store, once for all edits that share it; wrapped, so that a call does not fetch it."""
        if id(space) not in self._spaces:
            self._spaces[id(space)] = space, [self._ray.put(jax.tree.map(np.asarray, space))]
            if len(self._spaces) > KEPT_SPACES:
                self._spaces.popitem(last=False)
        return self._spaces[id(space)][1]

    def _told(self, hand: _Hand) -> Iterator[Ended]:
        """What a call came to."""
        call, hand.call = hand.call, None
        try:
            ended, hand.stats = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:  # an error of ours, which another worker would meet as well
            raise error.cause from error
        except self._ray.exceptions.ActorUnavailableError as error:
            self._lost(hand, error, died=False)
            return
        except self._ray.exceptions.RayActorError as error:
            self._lost(hand, error, died=True)
            return
        if ended:
            hand.deaths, hand.unavailable_since = 0, None
        for each in ended:
            hand.held.pop(each.result.id, None)
            hand.steps += each.result.steps
            if each.result.id in self._open:
                self._open.remove(each.result.id)
                yield each

    def _lost(self, hand: _Hand, error: Exception, *, died: bool) -> None:
        """Give back what a worker had; Ray starts it again.

        Raises:
          BatchError: that has happened too often.
        """
        self._pending.extendleft(reversed([each for name, each in hand.held.items() if name in self._open]))
        lost = len(hand.held)
        hand.held = {}
        for name in ("lane_steps_executed", "handle_steps_executed", "compile_seconds"):
            setattr(hand.before, name, getattr(hand.before, name) + getattr(hand.stats, name))
        hand.before.lane_steps = hand.steps  # what its lost edits had behind them counts no more
        hand.stats = BatchStats(most_lanes=hand.stats.most_lanes)
        now = time.monotonic()
        hand.unavailable_since = hand.unavailable_since or now
        hand.deaths += died
        self.deaths += died
        if hand.deaths > _MOST_DEATHS or now - hand.unavailable_since > _SECONDS_UNAVAILABLE:
            raise BatchError(
                "on ray: a worker dies again and again, or stays away; what had finished is in the folder, and "
                f"`resume` goes on: {' '.join(str(error).split())[:300]}",
                field="resume",
            ) from error
        if died:
            _log.warning("a worker died; its %d unfinished edits go to others, and Ray starts it again", lost)
        else:
            time.sleep(0.2)
