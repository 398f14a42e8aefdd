"""The commands that make a board's entry again, and the set behind it where a method can."""

from __future__ import annotations

import shlex

from hydrometer import methods, registry, seeds
from hydrometer.board.entry import Entry
from hydrometer.methods import codec
from hydrometer.types import Budget, Card, CompressedSet, HydrometerError, Source, Spec

_OPTIONS = {"ipc": "--ipc", "fraction": "--fraction", "bytes": "--bytes"}


def commands(entry: Entry) -> tuple[str, ...]:
    """Make the set, or say where it is; score it; and check the entry."""
    card, file = entry.card, "set.safetensors"
    kind, _, value = card.budget.partition("=")
    known = method_of(card) is not None and kind in _OPTIONS
    make = ["hydrometer", "compress", "--source", entry.source, "--method", card.method]
    make += [_OPTIONS.get(kind, ""), value, "--seed", str(card.seed), "--out", file]
    make += ["--trust", card.trust.estimator] if card.trust else []
    make += ["--codec", card.codec] if card.codec != "raw" else []
    make += ["--for", entry.protocol] if card.bytes.teacher else []
    score = ["hydrometer", "evaluate", file, "--source", entry.source, "--protocol", entry.protocol]
    check = ["hydrometer", "board", "verify", f"board/{entry.file_name}", "--source", entry.source]
    first = shlex.join(make) if known else f"# {file}: {_line(entry.set.where)}"
    return first, shlex.join(score), shlex.join(check if known else [*check, "--set", file])


def make_again(card: Card, source: Source, teacher: int = 0) -> CompressedSet | None:
    """The set that a card describes, made now; None where no method here could.

    `teacher` is what the one takes to store that the card's budget also paid for, in bytes.
    """
    method, budget = method_of(card), budget_of(card)
    if method is None or budget is None or card.seed is None:
        return None
    rng = seeds.numpy_rng(card.seed, f"method/{method}")
    trust = registry.parse(card.trust.estimator) if card.trust else None
    return methods.compress(
        source,
        method,
        budget,
        trust=trust,
        stored_as=codec.read(card.codec),
        teacher=teacher,
        rng=rng,
        seed=card.seed,
    )


def method_of(card: Card) -> Spec | None:
    """The method of a card, if it is one that is registered here and had a seed."""
    try:
        spec = registry.parse(card.method)
    except HydrometerError:
        return None
    known = card.seed is not None and spec.name in registry.names("method")
    return spec if known else None


def budget_of(card: Card) -> Budget | None:
    """The budget of a card, if it is of a kind that methods take."""
    kind, _, value = card.budget.partition("=")
    try:
        if kind == "fraction":
            return Budget(fraction=float(value))
        count = int(value)
    except ValueError:
        return None
    return {"ipc": Budget(per_class=count), "bytes": Budget(bytes=count)}.get(kind)


def _line(where: str) -> str:
    """Text from data on one line, so that none of it can pass for a command."""
    return " ".join(where.split()) or "not said where to get it"
