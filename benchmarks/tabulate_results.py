"""Markdown tables and the environment line that every results page ends with."""

from __future__ import annotations

import shlex
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from hydrometer.engine.environment import environment

BY_HAND = "<!-- What follows is written by hand and kept when the table is made again. -->"


def publish(page: Path, made: str) -> None:
    """Write a results page, keeping what was written below the mark, and print it."""
    write(page, made)
    print(page.read_text())


def write(page: Path, made: str) -> None:
    """Write a results page, keeping what was written below the mark."""
    kept = page.read_text().partition(BY_HAND)[2].strip("\n") if page.exists() else ""
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(f"{made.rstrip()}\n\n{BY_HAND}\n\n{kept}".rstrip() + "\n")


def command(*more: str) -> str:
    """The running command as a reader would type it: what it makes, not where it keeps its work."""
    script, *given = sys.argv
    told: list[str] = []
    for word, before in zip(given, ["", *given], strict=False):
        kept_at = word.partition("=")[0] in ("--out", "--page") or before in ("--out", "--page")
        if word != "--as-is" and not kept_at:
            told.append(word)
    return shlex.join(["python", f"benchmarks/{Path(script).name}", *told, *more])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median and range of repeated measurements."""
    middle, least, most = (f"{f(values):.{digits}f}" for f in (statistics.median, min, max))
    return f"{middle} ({least} to {most})"


def environment_line(device: torch.device) -> str:
    """Versions and device in one sentence."""
    found = environment(device)
    return (
        f"hydrometer {found.hydrometer}, torch {found.torch}, python {found.python}, "
        f"{found.device}, {found.threads} threads."
    )
