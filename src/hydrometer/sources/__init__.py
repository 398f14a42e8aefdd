"""Real datasets, found by name, such as `digits`, `cifar10`, `folder:PATH` or `parquet:PATH`.

A source is one file with a factory `(place: Place) -> Source` marked `@register("source")`.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from hydrometer import registry
from hydrometer.sources.place import Place, default_root
from hydrometer.types import HydrometerError, Source, Split

__all__ = ["Place", "default_root", "load", "sealed"]

_MODIFIER = re.compile(r"\+(?=[A-Za-z][\w-]*(?::[^+/]*)?(?:\+|$))")
"""A plus before a word, so that plus signs inside a path stay where they are."""


def load(name: str, root: Path | None = None) -> Source:
    """The source of this name, decoded the first time and from the cache afterwards.

    Args:
        name: `NAME`, `folder:PATH[@SIZE]` or `parquet:PATH`; `+MODIFIER` at the end is reserved.
        root: The folder of all datasets; $HYDROMETER_DATA, else `~/.cache/hydrometer/data`.

    Raises:
        HydrometerError: No such source, its files are missing or damaged, or they make no dataset.
    """
    base, *modifiers = _MODIFIER.split(name.strip())
    if modifiers:
        raise HydrometerError(
            f"source {name!r}: no modifier named {modifiers[0]!r}; none is known yet, "
            f"write {base!r}"
        )
    kind, colon, path = base.partition(":")
    factory = registry.get("source", kind.lower().replace("_", "-"))
    source: Source = factory(Place(root or default_root(), Path(path) if colon and path else None))
    return source


def sealed(source: Source) -> Source:
    """The source as methods get it: with an empty test split, and the digest of the whole."""
    test = source.test
    return dataclasses.replace(source, test=Split(test.images[:0], test.labels[:0], test.index[:0]))
