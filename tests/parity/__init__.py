"""Torch against JAX: the tests that compare ours with the reference in `benchmarks/torch_reference`."""
