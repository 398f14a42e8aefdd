"""Decode a dataset once; it is memory-mapped from then on."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from safetensors import SafetensorError

from hydrometer import digest
from hydrometer.sources import split_file
from hydrometer.sources.parts import Parts, assemble, check
from hydrometer.sources.split import VAL_RULE
from hydrometer.types import HydrometerError, Source, Stored

LAYOUT = "splits@2"
"""Changes when the same raw files would be decoded otherwise, so that older files are not read."""


class Entry(Stored):
    """What a cache file says of itself: all that could only be learnt by reading every pixel."""

    schema_version: Literal[1] = 1
    fingerprint: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str


def directory() -> Path:
    """Folder of the cache: $HYDROMETER_CACHE, or `~/.cache/hydrometer` where that is empty or unset."""
    return Path(os.environ.get("HYDROMETER_CACHE") or "~/.cache/hydrometer").expanduser()


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """Yield a path to write a file of the cache to, which becomes `path` once the block has succeeded.

    So a kill leaves no half file under this name. The folder is made where there is none.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def cached(
    name: str, where: Path, files: Sequence[Path], decode: Callable[[], Parts], *, variant: str = ""
) -> Source:
    """The source made of raw files, decoded the first time and memory-mapped from then on.

    It is decoded again when the name, size or modification time of a raw file changes, and when the
    cache file is cut short or unreadable.

    Args:
        name: The source's name, as in `Source.name`.
        where: The folder that holds the raw files.
        files: The raw files, below `where`.
        decode: Reads the raw files; called only when the cache has no answer.
        variant: Whatever else decides what `decode` returns, such as a size.

    Raises:
        HydrometerError: The raw files make no usable source, or the cache cannot be written.
    """
    stamp = _fingerprint(where, files, variant)
    path = _path(name, where, variant)
    known = _read(path, name, stamp)
    if known is not None:
        return known
    parts = decode()
    check(name, parts)
    try:
        _write(path, name, stamp, parts)
    except OSError as error:
        raise HydrometerError(
            f"source {name!r}: the decoded images cannot be kept in {path.parent} ({error}); "
            f"set HYDROMETER_CACHE to a folder that can be written"
        ) from None
    return _open(path, name, Entry.model_validate_json(split_file.card(path)))


def _path(name: str, where: Path, variant: str) -> Path:
    place = digest.of([str(where.resolve()), variant])[:8]
    return directory() / f"{name.partition(':')[0]}-{place}.safetensors"


def _fingerprint(where: Path, files: Sequence[Path], variant: str) -> str:
    """Digest of what the file system says of the raw files, quick enough for a million of them."""
    prefix = f"{where}{os.sep}"
    stats = ((str(file).removeprefix(prefix), file.stat()) for file in files)
    raw = "\n".join(f"{path}\t{stat.st_size}\t{stat.st_mtime_ns}" for path, stat in stats)
    return digest.of([LAYOUT, VAL_RULE, variant, raw])


def _read(path: Path, name: str, stamp: str) -> Source | None:
    """The source in a cache file, or nothing where it has to be decoded."""
    if not path.is_file():
        return None
    try:
        entry = Entry.model_validate_json(split_file.card(path))
        return _open(path, name, entry) if entry.fingerprint == stamp else None
    except (SafetensorError, ValidationError, KeyError, TypeError, OSError):
        with suppress(OSError):
            path.unlink()
        return None


def _open(path: Path, name: str, entry: Entry) -> Source:
    return Source(
        name,
        *split_file.splits(path),
        classes=entry.classes,
        mean=entry.mean,
        std=entry.std,
        digest=entry.digest,
        val_rule=VAL_RULE,
    )


def _write(path: Path, name: str, stamp: str, parts: Parts) -> None:
    with drafted(path) as draft:
        split_file.write(draft, name, parts, partial(_card, name, stamp, parts))


def _card(name: str, stamp: str, parts: Parts, draft: Path) -> str:
    source = assemble(name, parts, *split_file.splits(draft))
    entry = Entry(
        fingerprint=stamp,
        classes=source.classes,
        mean=source.mean,
        std=source.std,
        digest=source.digest,
    )
    return digest.canonical(entry.model_dump())
