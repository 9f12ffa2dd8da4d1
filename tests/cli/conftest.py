"""Batches whose edits take no time."""

from tests.batch.instant import instant

__all__ = ["instant"]
