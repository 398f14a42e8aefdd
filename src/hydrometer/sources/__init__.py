"""Real datasets, found by name, such as `digits`, `cifar10`, `folder:PATH` or `parquet:PATH`.

A source is one file with a factory `(place: Place) -> Source` marked `@register("source")`.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from hydrometer import registry
from hydrometer.sources import noise, share
from hydrometer.sources.place import Place, default_root
from hydrometer.types import Source, Split

__all__ = ["Place", "check", "default_root", "dissect", "load", "redrawn", "sealed", "unmodified"]

_MODIFIER = re.compile(r"\+(?=[A-Za-z][\w-]*(?::[^+/]*)?(?:\+|$))")
"""A plus before a word, so that plus signs inside a path stay where they are."""


def load(name: str, root: Path | None = None) -> Source:
    """The source of this name, decoded the first time and from the cache afterwards.

    Args:
        name: `NAME`, `folder:PATH[@SIZE]` or `parquet:PATH`, and any number of `+NOISE` or
            `+share:X`: see `sources.noise` and `sources.share`.
        root: The folder of all datasets; $HYDROMETER_DATA, else `~/.cache/hydrometer/data`.

    Raises:
        HydrometerError: No such source, its files are missing or damaged, or they make no dataset.
    """
    base, *modifiers = dissect(name)
    kind, colon, path = base.partition(":")
    factory = registry.get("source", kind.lower().replace("_", "-"))
    place = Place(root or default_root(), Path(path) if colon and path else None)
    source: Source = factory(place)
    plain = source.name
    for modifier in modifiers:
        if share.asked(modifier):
            source = share.taken(source, modifier)
        else:
            source = noise.corrupted(source, modifier, place.root, plain)
    return source


def check(modifier: str) -> None:
    """Read a modifier without loading anything.

    Raises:
        HydrometerError: No such noise, or the modifier cannot be read.
    """
    if share.asked(modifier):
        share.parse(modifier)
    else:
        noise.parse(modifier)


def unmodified(name: str) -> str:
    """A source's name without its noise; a share of it stays a share.

    >>> unmodified("digits+share:0.5+symmetric:0.4@1")
    'digits+share:0.5'
    """
    base, *modifiers = dissect(name)
    return "+".join([base, *filter(share.asked, modifiers)])


def redrawn(name: str, replicate: int) -> str:
    """The source's name with every noise drawn from a seed that is so much higher.

    >>> redrawn("digits+share:0.5+symmetric:0.4", 2)
    'digits+share:0.5+symmetric:0.4@2'
    """
    base, *modifiers = dissect(name)
    return "+".join([base, *(_redrawn(modifier, replicate) for modifier in modifiers)])


def _redrawn(modifier: str, replicate: int) -> str:
    if share.asked(modifier):
        return modifier
    spec, seed = noise.parse(modifier)
    return noise.text(spec, seed + replicate)


def dissect(name: str) -> list[str]:
    """A source's name without its modifiers, then each modifier.

    >>> dissect("folder:/data/c++@32+symmetric:0.4@1")
    ['folder:/data/c++@32', 'symmetric:0.4@1']
    """
    return _MODIFIER.split(name.strip())


def sealed(source: Source) -> Source:
    """The source as methods get it: with an empty test split, and the digest of the whole.

    What a subclass adds, such as the clean labels of a noisy source, is left behind.
    """
    known: dict[str, Any] = {f.name: getattr(source, f.name) for f in dataclasses.fields(Source)}
    test = source.test
    known["test"] = Split(test.images[:0], test.labels[:0], test.index[:0])
    return Source(**known)
