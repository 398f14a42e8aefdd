"""What a foreign format is: how others store a set, read into one type and written back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from hydrometer import registry
from hydrometer.types import CompressedSet, HydrometerError, Source


@dataclass(frozen=True)
class Foreign:
    """A set as its authors stored it, in whatever space its images are.

    `images` is (n, c, h, w) uint8 or float32, `labels` (n,) int64 positions in the source's class
    order; the rest is as in `CompressedSet`. `notes` tell what reading it had to decide.
    """

    images: Tensor
    labels: Tensor
    soft: Tensor | None = None
    weights: Tensor | None = None
    index: Tensor | None = None
    student_lr: float | None = None
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """A format that can be imported."""

    def fits(self, path: Path) -> bool:
        """Whether the path looks like this format, by names alone."""

    def read(self, path: Path, source: Source) -> Foreign:
        """Read a set; the source says what classes and image shape to expect."""


@runtime_checkable
class Writer(Protocol):
    """A format that can be exported."""

    def write(self, compressed: CompressedSet, path: Path) -> tuple[str, ...]:
        """Write a set, and say in notes what the format could not keep."""


def guess(path: Path) -> str:
    """The name of the one format a path looks like.

    Raises:
        HydrometerError: The path does not exist, or looks like no format, or like several.
    """
    if not path.exists():
        raise HydrometerError(f"nothing to import at {path}")
    known = registry.names("format")
    fitting = [name for name in known if registry.get("format", name)().fits(path)]
    if len(fitting) != 1:
        seen = f"could be {' or '.join(fitting)}" if fitting else "looks like no known format"
        raise HydrometerError(f"{path} {seen}; state the format, one of: {', '.join(known)}")
    return fitting[0]
