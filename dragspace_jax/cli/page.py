"""The demonstration's page: one section a drag, with its pictures beside its facts."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
section { margin: 2.5rem 0; } h2 { font-size: 1.15rem; margin: 0 0 .3rem; } p { margin: .2rem 0 .6rem; color: #555; }
.pictures { display: flex; gap: 1rem; flex-wrap: wrap; } img { height: 20rem; border-radius: .4rem; }
.reached { color: #17803d; font-weight: 600; } .other { color: #b45309; font-weight: 600; }
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Section:
    """A drag on the page.

    Attributes:
      title: its heading.
      folder: where its pictures lie, relative to the page.
      facts: what `results.summary` says of it, and the verdict of its quality.
    """

    title: str
    folder: str
    facts: dict[str, Any]


def _section(section: Section) -> str:
    title, folder, facts = html.escape(section.title), html.escape(section.folder), section.facts
    kind = "reached" if facts["outcome"] == "reached" else "other"
    distances = ", ".join(f"{distance:.1f}" for distance in facts["distances_px"])
    return f"""<section>
<h2>{title}</h2>
<p><span class="{kind}">{html.escape(facts["outcome"])}</span> after {facts["steps"]} steps,
{distances} px from the target, {facts["seconds"]:.1f} s: {html.escape(facts["verdict"])}</p>
<div class="pictures"><img src="{folder}/drag.png" alt="{title}: before and after">
<img src="{folder}/drag.gif" alt="{title}: the drag as an animation"></div>
</section>"""


def write_page(path: Path, sections: Sequence[Section]) -> None:
    """Write the page at `path`; the pictures lie in folders beside it."""
    body = "\n".join(_section(section) for section in sections)
    path.write_text(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>dragspace demo</title><style>{_STYLE}</style></head>
<body><h1>Drags on the embedded models</h1>
<p>Handles are red, targets blue, the tracked path yellow. Each edit runs in W+ and in PCA coordinates of W.</p>
{body}
</body></html>
""",
        encoding="utf-8",
    )
