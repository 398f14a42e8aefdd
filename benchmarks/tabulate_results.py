"""Markdown tables and the environment line that every results page ends with."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hydrometer.engine.environment import environment


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def environment_line(device: torch.device) -> str:
    """Versions and device in one sentence."""
    found = environment(device)
    return (
        f"hydrometer {found.hydrometer}, torch {found.torch}, python {found.python}, "
        f"{found.device}, {found.threads} threads."
    )
