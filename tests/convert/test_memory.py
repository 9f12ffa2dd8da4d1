"""Converting a 1024 px model: peak resident memory above the imported program, in multiples of the file's size.

`benchmarks/convert_memory.py` has the table for all formats.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from dragspace_jax.stylegan2.config import DiscriminatorConfig, GeneratorConfig, channel_table

from . import write_nvlabs

CHILD = """
import json, sys
from dragspace_jax.convert import convert
def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024
before = status("VmRSS")
convert(sys.argv[1], sys.argv[2], with_discriminator=True)
print(json.dumps(status("VmHWM") - before))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's memory counters are needed")
def test_1024_px_takes_less_than_three_times_the_file():
    channels = channel_table(1024, 32768, 512)
    content = write_nvlabs.snapshot(
        GeneratorConfig(resolution=1024, channels=channels),
        DiscriminatorConfig(resolution=1024, channels=channels, mapping_layers=0),
    )
    for network, nested in (("G", "synthesis_kwargs"), ("D", "block_kwargs"), ("G_ema", "synthesis_kwargs")):
        content[network].attributes["_init_kwargs"][nested].update(channel_base=32768, channel_max=512)
    with tempfile.TemporaryDirectory() as folder:  # pytest would keep half a gigabyte
        source = write_nvlabs.write(Path(folder) / "snapshot.pkl", content)
        command = [sys.executable, "-c", CHILD, str(source), f"{folder}/model"]
        used = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert used <= 3 * source.stat().st_size
