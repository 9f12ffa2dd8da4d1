"""The published networks and drag loop in PyTorch: the baseline of the benchmarks and the reference of parity tests."""
