"""Verdicts as a table on the terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from hydrometer.report import text
from hydrometer.types import Verdict


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Arms and estimates of every verdict, percent with intervals, then the notices."""
    out = Console(file=io.StringIO(), width=100, highlight=False, color_system=None)
    for verdict in verdicts:
        out.print(_one(verdict))
    for notice in dict.fromkeys(n for v in verdicts for n in v.notices):
        out.print(f"note: {notice}")
    return out.file.getvalue().rstrip()  # type: ignore[attr-defined,no-any-return]


def _one(verdict: Verdict) -> Table:
    title = f"{verdict.card.method} ({verdict.card.budget}) on {verdict.source}, {verdict.protocol}"
    table = Table(title=title, title_justify="left", title_style="bold", min_width=60)
    table.add_column("")
    table.add_column("value [95 % interval]", justify="right")
    table.add_column("n", justify="right")
    table.add_column("rate", justify="right")
    for arm in verdict.arms:
        found = verdict.estimates[f"accuracy:{arm.name}"]
        name = arm.name.replace("_", " ")
        table.add_row(
            f"accuracy, {name}", text.estimate(found, "accuracy"), str(found.n), f"{arm.lr:g}"
        )
    table.add_section()
    for name, found in verdict.estimates.items():
        if ":" not in name and name != "accuracy":
            table.add_row(name.upper(), text.estimate(found, name), str(found.n), "")
    return table
