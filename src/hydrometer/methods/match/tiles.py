"""Partition: how many tiles an image to learn may hold."""

from __future__ import annotations

from hydrometer.types import HydrometerError, Source


def refuse_bad_factor(factor: int, source: Source) -> None:
    """Raise an error unless images can be cut into `factor` x `factor` tiles."""
    side = min(source.shape[1:])
    if not 1 <= factor <= side:
        raise HydrometerError(f"factor={factor} tiles a side is out of range; choose 1 to {side}")
