"""A board as LaTeX: best in bold, and so is everything that ties with it."""

from __future__ import annotations

from collections.abc import Sequence

from hydrometer.board.ranking import Place, Table
from hydrometer.report import text

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
} | {c: f"\\{c}" for c in "&%$#_{}"}


def render(tables: Sequence[Table]) -> str:
    r"""One `booktabs` table for each source and protocol; needs `\usepackage{booktabs}`."""
    return "\n\n".join(_table(table) for table in tables) + "\n"


def escape(name: str) -> str:
    r"""Text as LaTeX prints it literally.

    >>> escape("a_b & 50%")
    'a\\_b \\& 50\\%'
    """
    return "".join(_SPECIAL.get(c, c) for c in name)


def _table(table: Table) -> str:
    n = len(table.places[0].entry.subject.seeds)
    caption = (
        f"{escape(table.source)}, {escape(table.protocol)}. Test accuracy in \\% with its 95\\,\\% "
        f"interval, $n={n}$. Bold: best, and not different from it ({escape(table.test)})."
    )
    lines = [
        r"\begin{table}",
        rf"\caption{{{caption}}}",
        r"\begin{tabular}{rllr}",
        r"\toprule",
        r"Rank & Method & Budget & Accuracy \\",
        r"\midrule",
        *map(_row, table.places),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _row(place: Place) -> str:
    entry = place.entry
    found = entry.estimates[f"accuracy:{entry.subject.name}"]
    value = text.percent(found.value).replace("−", "-")
    shown = rf"\textbf{{{value}}}" if place.rank == 1 else value
    ends = f"[{text.percent(found.low)}, {text.percent(found.high)}]".replace("−", "-")
    rank = f"{place.rank}{'=' if place.tied else ''}"
    return (
        f"{rank} & {escape(entry.card.title)} & {escape(text.budget(entry.card.budget))} "
        rf"& {shown} {ends} \\"
    )
