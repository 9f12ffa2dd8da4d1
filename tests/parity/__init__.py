"""Torch against JAX: a compact reference of the published networks and drag loop, and the tests that compare."""
