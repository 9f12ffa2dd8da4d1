"""Style channels as options name them: one by one, or those of a region by a table of `dragspace channels`."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from dragspace_jax.spaces.base import SpaceError

MOST = 4096  # of a space; coordinates of a least-change drag are solved for together
_ONE = re.compile(r"\s*([A-Za-z0-9_.]{1,40}):(\d{1,6})\s*")


def chosen_channels(text: str, own: Path | None = None) -> list[tuple[str, int]]:
    """(layer, index) of "LAYER:INDEX,…", or of "FILE.csv:REGION,…", the table's channels that act on these regions.

    Args:
      text: either form, or "REGION,…" of the model's own table.
      own: that table, if the model has one.

    Raises:
      SpaceError: text of no such form, a file that is no such table, or regions on which no channel acts.
    """
    path = _table(text)
    if path is not None:
        return _of_table(Path(path), text[len(path) + 1 :], path)
    if ":" not in text and text.strip():
        if own is None:
            raise _error(
                f"{text.strip()!r}: the model has no table of its own; give FILE.csv:{text.strip()}, which "
                "dragspace channels writes, or LAYER:INDEX"
            )
        return _of_table(own, text, "the model")
    found = []
    for part in text.split(","):
        match = _ONE.fullmatch(part)
        if match is None:
            raise _error(f"{part.strip()!r} is not like b16.conv1:12, or channels.csv:eye")
        found.append((match[1], int(match[2])))
    return _checked(found)


def relative_to(text: str, folder: Path) -> str:
    """The text with the path of its table, if it has one, taken from a folder."""
    path = _table(text)
    return text if path is None else f"{folder / path}{text[len(path) :]}"


def _table(text: str) -> str | None:
    """The path in "PATH.csv:REGION,…"; None if the text names channels one by one."""
    end = text.lower().find(".csv:")
    return None if end < 0 else text[: end + 4]


def _of_table(path: Path, names: str, of: str) -> list[tuple[str, int]]:
    regions = [part.strip() for part in names.split(",")]
    try:
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        known = {line["region"] for line in lines}
        found = [(line["layer"], int(line["index"])) for line in lines if line["region"] in regions and line["region"]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _error(f"{path} cannot be read ({error}); dragspace channels writes one") from error
    except (KeyError, ValueError, TypeError) as error:
        raise _error(f"{path} is not a table of dragspace channels: {error}") from error
    missing = [region for region in regions if region not in known or not region]
    if missing:
        there = ", ".join(sorted(known - {""})) or "none"
        raise _error(f"no channel of {of} acts on {missing[0]!r}; there are {there}")
    return _checked(found)


def _checked(found: list[tuple[str, int]]) -> list[tuple[str, int]]:
    if len(found) > MOST:
        raise _error(f"{len(found)} channels are too many; at most {MOST} may move")
    return found


def _error(message: str) -> SpaceError:
    return SpaceError(f"channels: {message}", field="channels")
