"""What only a GPU can tell, in steps of less than ten minutes, the most valuable first."""

from __future__ import annotations

import dataclasses

MINUTES = 10
"""A step that takes longer is ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One run of a benchmark or of tests, in a process of its own.

    Attributes:
      name: as `--only` takes it.
      question: what it answers.
      minutes: how long it may be expected to take; less time left, and it is not begun.
      module: what `python -m` runs: `pytest`, or a benchmark, which is told where to write its numbers.
      arguments: words that it gets.
      tiny: those that it gets in a dry run, beside a tiny model.
    """

    name: str
    question: str
    minutes: int
    module: str
    arguments: str
    tiny: str

    @property
    def is_test(self) -> bool:
        return self.module == "pytest"

    def words(self, model: str | None) -> list[str]:
        """The arguments; with a tiny `model`, those of a dry run."""
        if model is None:
            return self.arguments.split()
        return self.tiny.replace("MODEL", model).split()


def _benchmark(name: str) -> str:
    return f"dragspace_jax.benchmarks.{name}"


STEPS = (
    Step(
        name="rates",
        question="What does the card reach at best (its roofline)?",
        minutes=1,
        module=_benchmark("device_rates"),
        arguments="",
        tiny="",
    ),
    Step(
        name="parity",
        question="Do networks and drags keep their numbers, against PyTorch and the golden arrays?",
        minutes=8,
        module="pytest",
        arguments="tests/parity -q --numprocesses 4 --dist loadfile",
        tiny="tests/parity/test_golden_files.py -q --collect-only",
    ),
    Step(
        name="lanes",
        question="How many edits a second do lanes bring, and is `auto` within 10 % of the best?",
        minutes=9,
        module=_benchmark("lanes_speed"),
        arguments="--dtypes float32 --lanes 1,16,64,128,256,512,auto --iterations 32",
        tiny="--model MODEL --threads 1 --dtypes float32 --lanes 1,auto --iterations 2",
    ),
    Step(
        name="drag-512",
        question="How long does a drag iteration take at 512 px, against the published loop on the same card?",
        minutes=7,
        module=_benchmark("drag_speed"),
        arguments="--cases 512-one,512-four,512-mask --engines auto,whole --iterations 30 --no-memory",
        tiny="--model MODEL --threads 1 --cases one --iterations 2 --no-memory",
    ),
    Step(
        name="bfloat16",
        question="What does bfloat16 bring, and how far do handles and latents drift?",
        minutes=9,
        module=_benchmark("lanes_speed"),
        arguments="--dtypes float32,bfloat16 --lanes 1,64,auto --iterations 32",
        tiny="--model MODEL --threads 1 --dtypes float32,bfloat16 --lanes 1 --iterations 2",
    ),
    Step(
        name="memory",
        question="How much of the card's memory does a drag take, by resolution?",
        minutes=9,
        module=_benchmark("memory"),
        arguments="--cases 128-one,256-one,512-one,1024-one",
        tiny="--model MODEL --cases one",
    ),
    Step(
        name="window-error",
        question="How far are windows from the whole map, in both types?",
        minutes=4,
        module=_benchmark("window_error"),
        arguments="--resolution 512",
        tiny="--model MODEL",
    ),
    Step(
        name="drag-sizes",
        question="How long does a drag iteration take at other sizes?",
        minutes=8,
        module=_benchmark("drag_speed"),
        arguments="--cases 1024-one,256-one,128-one --iterations 30 --no-memory",
        tiny="--model MODEL --threads 1 --cases one --iterations 1 --no-memory --no-torch",
    ),
    Step(
        name="embedded",
        question="The same on an embedded model, memory too?",
        minutes=6,
        module=_benchmark("drag_speed"),
        arguments="--model critters-dog --iterations 30",
        tiny="--model MODEL --threads 1 --cases one --iterations 1 --no-memory",
    ),
    Step(
        name="start-up",
        question="How long from the command to the first iteration?",
        minutes=4,
        module=_benchmark("start_up"),
        arguments="--model critters-dog --repeats 3",
        tiny="--model MODEL --repeats 0",
    ),
    Step(
        name="tests",
        question="Do lanes, windows and spaces keep their promises?",
        minutes=9,
        module="pytest",
        arguments="tests/drag tests/spaces tests/stylegan2 -q --numprocesses 4 --dist loadfile",
        tiny="tests/spaces/test_prior.py -q --collect-only",
    ),
)
"""In the order in which they run."""
