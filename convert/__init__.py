"""Checkpoints of other projects, read without running anything found in them."""
