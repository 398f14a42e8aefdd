"""A set as the reports show it: its card, its images, and the students behind its verdicts."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from PIL import Image

from hydrometer.artifact import preview
from hydrometer.report import explain, figures, text
from hydrometer.types import ArmResult, CompressedSet, Environment, Run, Verdict

_PER_CLASS, _MOST_CLASSES, _MOST_PIXELS = 10, 50, 1000


@dataclass(frozen=True)
class Trained:
    """An arm's students, seed by seed, at the rate chosen on `val`."""

    arm: str
    rate: str
    accuracies: tuple[str, ...]
    diverged: int
    recipe: str | None
    recipe_digest: str


@dataclass(frozen=True)
class Judged:
    """How one protocol's verdict on a set came about."""

    protocol: str
    arms: tuple[Trained, ...]
    figures: tuple[figures.Figure, ...]
    seconds: str


def judged(verdict: Verdict, runs: Mapping[str, Run]) -> Judged:
    """The students of a verdict, with curves and classes where the runs are at hand."""
    drawn = (figures.per_class(verdict, runs), figures.losses(verdict, runs))
    return Judged(
        protocol=verdict.protocol,
        arms=tuple(_trained(arm, runs) for arm in verdict.arms),
        figures=tuple(figure for figure in drawn if figure is not None),
        seconds=text.duration(verdict.seconds) if verdict.seconds else "a time that is not known",
    )


def _trained(arm: ArmResult, runs: Mapping[str, Run]) -> Trained:
    mine = figures.chosen(arm, runs)
    return Trained(
        arm=text.arm(arm.name),
        rate=f"{arm.lr:g}",
        accuracies=tuple(text.percent(accuracy, 2) for accuracy in arm.accuracy),
        diverged=arm.diverged,
        recipe=mine[0].recipe if mine else None,
        recipe_digest=arm.recipe_digest,
    )


def facts(verdict: Verdict, compressed: CompressedSet | None) -> tuple[tuple[str, str], ...]:
    """The card of a set, and its shape where it is at hand."""
    card = verdict.card
    parts = {
        "images": card.bytes.images,
        "labels": card.bytes.labels,
        "teacher": card.bytes.teacher,
    }
    stored = " + ".join(f"{name} {text.bytes(n)}" for name, n in parts.items() if n)
    found = {
        "Method": card.method,
        "Source": f"{card.source}, {len(card.classes):,} classes ({card.source_digest})",
        "Budget": text.budget(card.budget),
        "Seed": "none" if card.seed is None else str(card.seed),
        "Made in": text.made_in(card),
        "Stored": f"{text.bytes(card.bytes.total)}: {stored}",
        "Digest": verdict.set_digest,
    }
    if compressed is not None:
        shape = " × ".join(map(str, compressed.images.shape[1:]))
        kind = str(compressed.images.dtype).removeprefix("torch.")
        labels = "hard" if compressed.soft is None else "soft"
        images = {"Images": f"{len(compressed):,} of {shape} {kind}, {labels} labels"}
        found = images | found
    if card.trust is not None:
        found["Trust"] = text.trust(card.trust)
    if card.student_lr is not None:
        found["Learned rate"] = f"{card.student_lr:g}"
    return tuple(found.items())


def sheet(compressed: CompressedSet) -> bytes:
    """The contact sheet as PNG; one of large images is reduced to fit a page."""
    most = int(compressed.labels.bincount().max()) if len(compressed) else 1
    png = preview.sheet(compressed, per_class=max(1, min(_PER_CLASS, most)))
    with Image.open(io.BytesIO(png)) as drawn:
        if drawn.width <= _MOST_PIXELS:
            return png
        stream = io.BytesIO()
        height = max(1, round(drawn.height * _MOST_PIXELS / drawn.width))
        drawn.resize((_MOST_PIXELS, height)).save(stream, format="PNG", optimize=True)
        return stream.getvalue()


def alt(classes: Sequence[str]) -> str:
    """What a contact sheet shows, for those who cannot see it."""
    names = classes[:_MOST_CLASSES]
    rest = len(classes) - len(names)
    shown = f"Up to {_PER_CLASS} images of each class, one class to a row: {', '.join(names)}"
    return shown + (f"; {rest} more classes are not shown" if rest else "")


def glossary(verdicts: Iterable[Verdict]) -> tuple[tuple[str, str], ...]:
    """The arms and metrics of verdicts, in a sentence each."""
    names = {n: None for v in verdicts for n in v.estimates if ":" not in n and n != "accuracy"}
    metrics = ((text.heading(name), explain.metric(name)) for name in names)
    return (*explain.ARMS, ("Accuracy", explain.metric("accuracy")), *metrics)


def environments(found: Iterable[Environment]) -> tuple[str, ...]:
    """Where runs happened, each place once."""
    return tuple(dict.fromkeys(_place(place) for place in found))


def _place(found: Environment) -> str:
    threads = f"{found.threads} thread{'s' * (found.threads != 1)}"
    return (
        f"hydrometer {found.hydrometer}, torch {found.torch}, python {found.python}, "
        f"{found.device}, {threads}"
    )
