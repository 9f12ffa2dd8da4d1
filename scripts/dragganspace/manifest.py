"""What a work folder belongs to: results of other models or of another predictor are never mixed in.

A changed drag loop it does not see: whoever changes that removes the cells that it runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click


def check_manifest(work: Path, parts: Mapping[str, str]) -> None:
    """Note which networks a work folder's results are of, or see that they are the same as before.

    Args:
      work: the folder; made if it is not there.
      parts: fingerprints by name.

    Raises:
      click.ClickException: a network of that name has changed since.
    """
    path = work / "manifest.json"
    work.mkdir(parents=True, exist_ok=True)
    if not path.exists() and any(work.glob("*/*.npz")):
        raise click.ClickException(f"{work} holds results of networks that it does not name; take another --work")
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    for name, fingerprint in parts.items():
        if known.get(name, fingerprint) != fingerprint:
            raise click.ClickException(
                f"{work} holds results of another {name} ({known[name]}, now {fingerprint}); take another --work"
            )
    staging = path.with_suffix(".part")
    staging.write_text(json.dumps({**known, **parts}, indent=1) + "\n")
    staging.replace(path)
