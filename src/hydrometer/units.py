"""Sizes and times as people read and write them; cheap to import."""

from __future__ import annotations

import re

from hydrometer.types import HydrometerError

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


def bytes(n: int) -> str:
    """A size in powers of 1000, such as `12.3 kB`."""
    value, step = float(n), 0
    while round(value, 1) >= 1000 and step < len(_BYTES) - 1:
        value, step = value / 1000, step + 1
    return f"{n} B" if step == 0 else f"{value:.1f} {_BYTES[step]}"


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number of things in words.

    >>> counted(1, "cell"), counted(1200, "cell"), counted(2, "process", "processes")
    ('1 cell', '1,200 cells', '2 processes')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def read_bytes(text: str) -> int:
    """The size that a text such as `200kB`, `1.5 MB` or `64KiB` means.

    Raises:
        HydrometerError: The text is not a number with a known unit, or a part of a byte.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?", text.strip(), re.IGNORECASE)
    if match is None or (match[3] and not match[2]):
        raise HydrometerError(f"cannot read size {text!r}; write a size such as 200kB or 64KiB")
    base = 1024 if match[3] else 1000
    power = " KMGT".index(match[2].upper() or " ")
    size = round(float(match[1]) * float(base) ** power)
    if not size and float(match[1]):
        raise HydrometerError(f"size {text!r} is less than one byte; write one such as 200kB")
    return size


def duration(seconds: float) -> str:
    """A time in its two largest units, such as `1 min 15 s`.

    >>> duration(0.004), duration(7.25), duration(59.6), duration(7260)
    ('4 ms', '7.2 s', '1 min 0 s', '2 h 1 min')
    """
    if seconds < 0.0995:
        return f"{round(1000 * seconds)} ms" if seconds else "0 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
