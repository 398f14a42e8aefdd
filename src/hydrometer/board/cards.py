"""The card of an entry beside the set that it is about."""

from __future__ import annotations

from hydrometer.artifact import container
from hydrometer.board.commands import budget_of
from hydrometer.types import Bytes, Card, CompressedSet, HydrometerError, Source

_ONLY_THEN = {"source", "method", "seconds", "notes", "trust.seconds"}
"""What a set that was made anew need not repeat: a folder's place, arguments that were spelt out
since, wall time, and remarks about caches. The method itself is what made the set."""
_MOST = 60


def differences(card: Card, data: CompressedSet, source: Source, *, anew: bool) -> tuple[str, ...]:
    """What an entry's card says otherwise than its set, a sentence for each field.

    The set's own tensors are counted, for whoever alters an entry may alter a card as well; what they
    do not tell is taken from the card that is stored with the set, or of the set made `anew`.
    """
    said, known = _fields(card), _fields(data.card)
    where = "the set made again" if anew else "the card stored with the set"
    found = {
        name: f"card.{name} is {_short(said.get(name))} in the entry, "
        f"but {_short(known.get(name))} on {where}"
        for name in dict.fromkeys((*said, *known))
        if said.get(name) != known.get(name) and not (anew and name in _ONLY_THEN)
    }
    return tuple((found | _against_tensors(card, data, source)).values())


def _against_tensors(card: Card, data: CompressedSet, source: Source) -> dict[str, str]:
    """Sentences by field, where the tensors of the set say otherwise."""
    found = {}
    counted = _counted(card, data)
    for name in ("images", "labels"):
        entered, given = getattr(card.bytes, name), getattr(counted, name)
        if entered != given:
            found[f"bytes.{name}"] = (
                f"card.bytes.{name} is {entered} in the entry, but the set itself has {given}"
            )
    if (held := _unlike_budget(card, data, source, counted)) is not None:
        found["budget"] = (
            f"card.budget is {card.budget} in the entry, but the set itself has {held}"
        )
    return found


def _counted(card: Card, data: CompressedSet) -> Bytes:
    """Bytes of the set's tensors; those of image files are the card's.

    Encoders of other versions write other sizes, and JPEG files cannot be had again from their images.
    """
    counted = container.bytes_of(
        data.images,
        data.labels,
        data.soft,
        data.weights,
        len(data.card.classes),
        card.bytes.teacher,
    )
    raw = data.card.codec == "raw"
    return counted if raw else counted.model_copy(update={"images": data.card.bytes.images})


def _unlike_budget(card: Card, data: CompressedSet, source: Source, counted: Bytes) -> str | None:
    """What the set has instead of its budget, in words; None if it has that, or nobody can tell."""
    try:
        budget = budget_of(card)
    except HydrometerError:
        return f"{len(data)} images"
    if budget is None:
        return None
    classes = len(data.card.classes)
    if budget.per_class is not None:
        counts = data.labels.bincount(minlength=classes).tolist()
        # Learned soft labels may prefer another class than the image was made for.
        even = data.soft is not None and len(data) == budget.per_class * classes
        fits = even or counts == [budget.per_class] * classes
        least, most = min(counts), max(counts)
        number = str(least) if least == most else f"{least} to {most}"
        return None if fits else f"{number} images of each class"
    if budget.bytes is not None:
        return None if counted.total <= budget.bytes else f"{counted.total} bytes"
    train = len(source.train)
    # Of another copy of the source the size is not known; a set may be larger, with rows of val.
    known = data.card.source_digest == source.digest
    fits = round(train * (budget.fraction or 0)) == min(len(data), train)
    return f"{len(data)} of {train} images" if known and not fits else None


def _fields(card: Card) -> dict[str, object]:
    """All fields of a card, those of its parts with a dot."""
    found = card.model_dump(exclude={"schema_version"})
    for part in ("bytes", "trust"):
        inner = found.pop(part) or {}
        found |= {f"{part}.{name}": value for name, value in inner.items()}
    return found


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _MOST else f"{text[:_MOST]} …"
