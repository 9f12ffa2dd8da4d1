"""Edits carried from one model to another: maps between their latents, fitted, evaluated and applied."""

from dragspace_jax.analysis.align import Alignment
from dragspace_jax.transfer.align import align
from dragspace_jax.transfer.alignments import Alignments
from dragspace_jax.transfer.carried import Carried
from dragspace_jax.transfer.carry import carry
from dragspace_jax.transfer.errors import TransferError

__all__ = ["Alignment", "Alignments", "Carried", "TransferError", "align", "carry"]
