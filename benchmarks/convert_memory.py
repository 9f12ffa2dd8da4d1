"""How much memory does converting a 1024 px model take, in multiples of the file's size?

Writes checkpoints of config F with random weights into a temporary folder and converts each in a process of its own.
That process measures its resident memory after importing the converter (and torch, where asked for, which counts as
the imported program), and at its peak: what lies between is what conversion costs, first use of JAX and Orbax included.
The tests' writers make the files, so it runs from the top of the repository.

    python -m benchmarks.convert_memory [--resolution 1024]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dragspace_jax.stylegan2.config import DiscriminatorConfig
from tests.convert import write_nvlabs, write_rosinality, write_tensorflow
from tests.convert.networks import random_parameters

from .case import config_f

_CHILD = """
import json, sys, time
from dragspace_jax.benchmarks import resident
from dragspace_jax.convert import convert
source, out, both = sys.argv[1:]
before, start = resident.mark(), time.perf_counter()
convert(source, out, with_discriminator=both == "both")
print(json.dumps({"before": before, "peak": resident.peak(), "seconds": time.perf_counter() - start}))
"""


def sources(folder: Path, resolution: int) -> Iterator[tuple[str, Path, bool]]:
    """(what it is, file, whether the discriminator is converted too)."""
    config = config_f(resolution)
    discriminator = DiscriminatorConfig(resolution=resolution, channels=config.channels, mapping_layers=0)
    arrays = random_parameters(config)
    whole = write_nvlabs.snapshot(config, discriminator)
    for network in ("G", "D", "G_ema"):
        # The writers state the channels of their small networks.
        stated = whole[network].attributes["_init_kwargs"]
        stated["synthesis_kwargs" if network != "D" else "block_kwargs"] |= {"channel_base": 32768, "channel_max": 512}
    path = write_nvlabs.write(folder / "nvlabs.pkl", whole)
    yield "NVlabs, G + D + G_ema", path, False
    yield "NVlabs, G + D + G_ema, with D", path, True
    yield "NVlabs, protocol 2", write_nvlabs.write(folder / "nvlabs2.pkl", whole, 2), False
    yield "NVlabs, G_ema alone", write_nvlabs.write(folder / "ema.pkl", {"G_ema": whole["G_ema"]}), False
    generator = write_tensorflow.generator(config, arrays)
    for network in (generator, *generator.state["components"].values()):
        network.state["static_kwargs"] |= {"fmap_base": 16384, "fmap_max": 512}
    empty = write_tensorflow.Network("D", {}, [], {})
    yield "TensorFlow, Gs alone", write_tensorflow.write(folder / "tf.pkl", (empty, empty, generator)), False
    content = write_rosinality.content(config, arrays, kind="converted")
    yield "rosinality, zip", write_rosinality.write(folder / "zip.pt", content), False
    yield "rosinality, legacy", write_rosinality.write(folder / "legacy.pt", content, zipped=False), False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=1024)
    resolution = parser.parse_args().resolution
    print("| source | file, MB | above the imported program, MB | times the file | seconds |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i, (label, path, both) in enumerate(sources(folder, resolution)):
            command = [sys.executable, "-c", _CHILD, str(path), str(folder / f"out{i}"), "both" if both else "one"]
            measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            size, used = path.stat().st_size, measured["peak"] - measured["before"]
            row = f"{size / 1e6:.0f} | {used / 1e6:.0f} | {used / size:.2f} | {measured['seconds']:.1f}"
            print(f"| {label} | {row} |", flush=True)


if __name__ == "__main__":
    main()
