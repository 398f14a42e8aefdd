"""What the cache holds of trained things, with sizes, and how to be rid of it.

Experts, distillations, recordings and teachers are kept under names that say all they depend on, and are
made again where they are missing: forgetting one costs time and never a result.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open

from hydrometer.sources.cache import directory
from hydrometer.types import HydrometerError

DAY = 86_400.0


@dataclass(frozen=True)
class Item:
    """One trained thing: `kind/name`, bytes on disk, when it last changed, and what it says it is."""

    kind: str
    path: Path
    bytes: int
    changed: float
    about: str

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"{self.kind}/{self.path.stem}"


def items() -> list[Item]:
    """Everything of all kinds, largest first."""
    found = [item for kind in KINDS for item in _of_kind(kind)]
    return sorted(found, key=lambda item: (-item.bytes, item.name))


def chosen(names: Sequence[str], days: float = 0.0) -> list[Item]:
    """The items that names mean and that have not changed for so many days.

    A name is a kind, for all of it, or `kind/NAME`, of which the first letters are enough.

    Raises:
        HydrometerError: A name means nothing, or several things.
    """
    found: dict[str, Item] = {}
    for name in names:
        kind, slash, start = name.partition("/")
        if kind not in KINDS:
            raise HydrometerError(f"the cache has no kind {kind!r}; known: {', '.join(KINDS)}")
        meant = [item for item in _of_kind(kind) if item.path.stem.startswith(start)]
        if slash and len(meant) != 1:
            said = "nothing" if not meant else f"{len(meant)} things"
            raise HydrometerError(f"{name!r} means {said}; `hydrometer cache show` has the names")
        found |= {item.name: item for item in meant}
    latest = time.time() - days * DAY
    return [item for item in found.values() if item.changed <= latest]


def forget(item: Item) -> bool:
    """Remove an item, unless a process is making it, which is then left alone: whether it is gone.

    Experts in use are not known as such: the process that reads them stops with an error.
    """
    lock = directory() / "locks" / f"{item.path.stem}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, blocking=False):
            if item.path.is_dir():
                shutil.rmtree(item.path)
            else:
                item.path.unlink(missing_ok=True)
    except Timeout:
        return False
    return True


def _of_kind(kind: str) -> Iterator[Item]:
    home = directory() / kind
    for path in sorted(home.iterdir()) if home.is_dir() else ():
        if path.name.startswith(".") or path.suffix == ".part":
            continue
        stats = [file.stat() for file in (path, *path.rglob("*")) if file.is_file()]
        changed = max((s.st_mtime for s in stats), default=path.stat().st_mtime)
        yield Item(kind, path, sum(s.st_size for s in stats), changed, _about(kind, path))


def _about(kind: str, path: Path) -> str:
    """What a card says; nothing where it cannot be read."""
    try:
        return KINDS[kind](path)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, StopIteration):
        return ""


def _of_experts(path: Path) -> str:
    files = sorted(path.glob("*.safetensors"))
    card = _card(files[0]) if files else {}
    return f"{len(files)} of {card['source']}, {_student(card)}"


def _of_matching(path: Path) -> str:
    told = json.loads((path / "progress.json").read_text(encoding="utf-8"))
    return f"{told['work']}, {told['done']} iterations"


def _of_recordings(path: Path) -> str:
    card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    return f"{card['source']}, {card['epochs']} epochs, {_student(card)}"


def _of_teachers(path: Path) -> str:
    card = _card(path)
    return f"{card['source']}, {_student(card)}"


def _card(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        card: dict[str, str] = json.loads(file.metadata()["card"])
    return card


def _student(card: dict[str, str]) -> str:
    return str(json.loads(card["recipe"])["student"])


KINDS: dict[str, Callable[[Path], str]] = {
    "experts": _of_experts,
    "matching": _of_matching,
    "recordings": _of_recordings,
    "teachers": _of_teachers,
}
"""Kinds of trained things, each a folder of the cache, and what reads their cards."""
