"""The parts of `scripts/on_gpu.py`: the steps, running them, and the tables that come out."""
