"""Verdicts as tables on the terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from hydrometer.report import text
from hydrometer.types import Verdict


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """Each verdict's arms and estimates with intervals, then a sentence each, then the notices."""
    written = io.StringIO()
    out = Console(
        file=written, width=100, highlight=False, color_system=None, soft_wrap=True, markup=False
    )
    for verdict in verdicts:
        card = verdict.card
        out.print(f"{card.title}, {card.budget}, on {verdict.source}: {verdict.protocol}")
        out.print(_one(verdict))
    for verdict in verdicts:
        out.print(text.sentence(verdict))
    for notice in dict.fromkeys(n for v in verdicts for n in v.notices):
        out.print(f"note: {notice}")
    return written.getvalue().rstrip()


def _one(verdict: Verdict) -> Table:
    table = Table(box=box.SIMPLE)
    table.add_column("")
    table.add_column("value [95 % interval]", justify="right")
    table.add_column("n", justify="right")
    table.add_column("rate", justify="right")
    for arm in verdict.arms:
        found = verdict.estimates[f"accuracy:{arm.name}"]
        value = text.estimate(found, "accuracy")
        table.add_row(f"accuracy, {text.arm(arm.name)}", value, str(found.n), f"{arm.lr:g}")
    table.add_section()
    for name, found in verdict.estimates.items():
        if ":" not in name and name != "accuracy":
            table.add_row(name.upper(), text.estimate(found, name), str(found.n), "")
    return table
