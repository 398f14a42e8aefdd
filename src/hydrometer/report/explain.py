"""What the numbers of a report mean: protocols and metrics in one sentence each, from their source."""

from __future__ import annotations

import inspect

from hydrometer import metrics, protocols, registry
from hydrometer.protocols import Full, Protocol, Settings
from hydrometer.report import text
from hydrometer.types import HydrometerError

ARMS = (
    ("This set", "The set that is judged, the subject: students trained on it alone."),
    (
        "Random images",
        "Students trained on as many real images of each class, drawn with the seed.",
    ),
    ("Full data", "Students trained on everything the source has to train on."),
)
"""What the students of the common arms are trained on."""


def protocol(name: str, student: str | None = None) -> str:
    """A protocol's settings in words; one that is not installed here is said to be unknown.

    `student` is who was trained where the protocol leaves the choice to the image size.
    """
    try:
        found = protocols.load(name)
    except HydrometerError:
        return "The settings of this protocol are not known to this installation."
    parts = [f"{name}: {_about(found)}.", _settings(found.settings, student)]
    for role, how in (("full data", found.settings.full), ("teacher", found.settings.teacher)):
        if how is not None:
            parts.append(_full(role, how))
    return " ".join(parts)


def metric(name: str) -> str:
    """A metric in one sentence, its unit, and which direction is better."""
    base = text.base_of(name)
    if base not in registry.names("metric"):
        return "A metric that is not known to this installation."
    found = metrics.find(base)
    story = inspect.getdoc(inspect.getmodule(found.function)) or inspect.getdoc(found.function)
    unit = {"%": "In percent", "points": "In percentage points"}.get(
        text.unit_of(name), "Times 100"
    )
    direction = "higher" if found.higher_is_better else "lower"
    return f"{_sentence((story or base).splitlines()[0])} {unit}; {direction} is better."


def _about(found: Protocol) -> str:
    """What a protocol says of itself, which no longer holds once a setting is changed."""
    released, changed, _ = found.name.partition("{")
    return f"a changed {released}, not to be compared with it" if changed else found.about


def _settings(settings: Settings, student: str | None) -> str:
    parts = [
        f"Student {settings.student or student or 'by image size'}",
        f"{settings.epochs:,} epochs",
        f"batch {settings.batch}",
        f"{settings.optimiser}",
        f"schedule {settings.schedule}",
        f"rate {_rates(settings.rates)}",
        f"augmentation {' then '.join(map(str, settings.augment)) or 'none'}",
        f"loss of soft labels {settings.loss}" if settings.loss.name != "cross-entropy" else "",
        f"whitening {settings.whiten}" if settings.whiten else "",
        f"weight average {settings.average:g}" if settings.average else "",
        _seeds(settings.seeds),
        "precision by student and machine" if settings.precision == "auto" else settings.precision,
    ]
    return ", ".join(filter(None, parts)) + "."


def _full(role: str, how: Full) -> str:
    augment = f", augmentation {' then '.join(map(str, how.augment))}" if how.augment else ""
    return (
        f"{role.capitalize()}: {how.epochs:,} epochs, batch {how.batch}, {how.optimiser}, "
        f"schedule {how.schedule}, rate {how.lr:g}{augment}, {_seeds(how.seeds)}."
    )


def _rates(rates: tuple[float, ...]) -> str:
    listed = ", ".join(f"{rate:g}" for rate in rates)
    return f"chosen on val from {listed}" if len(rates) > 1 else listed


def _seeds(count: int) -> str:
    return f"{count} seed{'s' * (count != 1)}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."
