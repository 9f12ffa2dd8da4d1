"""The published networks and drag loop in PyTorch: the rival of the benchmarks, and what parity tests hold ours to."""
