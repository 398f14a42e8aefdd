"""The factors of an attribution: what each switches, whether it can be, and the arm of a cell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from hydrometer import protocols
from hydrometer.protocols import CROSS_ENTROPY, SOFT, Case, Protocol, Settings
from hydrometer.types import Arm, CompressedSet, Labels, Recipe, Source

FACTORS = ("images", "labels", "augmentation", "recipe")
"""In the order of bits, and of a ladder."""
OFF = {"images": "random", "labels": "hard", "augmentation": "plain", "recipe": "reference"}
ON = {"images": "subject", "labels": "soft", "augmentation": "augmented", "recipe": "own"}
ONLINE: tuple[Labels, ...] = ("teacher", "teacher-batch")
"""Regimes in which a teacher labels every view, and labels stored with a set are not used."""
_RECIPE = ("epochs", "batch", "optimiser", "schedule", "rates", "average")


@dataclass(frozen=True)
class Factors:
    """The factors that can be switched for a set under a protocol, and why others cannot.

    `held` is where the others stay: True for on.
    """

    active: tuple[str, ...]
    left_out: Mapping[str, str]
    held: Mapping[str, bool]

    def levels(self, cell: int) -> dict[str, bool]:
        """Every factor's level in a cell whose bit i is the level of the i-th active factor."""
        on = {name: bool(cell >> i & 1) for i, name in enumerate(self.active)}
        return {name: on.get(name, self.held.get(name, False)) for name in FACTORS}


def reference_for(protocol: Protocol) -> Settings:
    """The recipe that the protocol's own is compared with: DD-Ranking's, quick where that is quick."""
    quick = "-quick" in protocol.base
    return protocols.load("ddranking-hard-quick@1" if quick else "ddranking-hard@1").settings


def find(
    subject: CompressedSet, source: Source, protocol: Protocol, reference: Settings
) -> Factors:
    """Which factors can be switched."""
    settings = protocol.settings
    images = _images(subject, source)
    reasons = {
        "images": images,
        "labels": _labels(subject, protocol, random=images is None),
        "augmentation": None if settings.augment else f"{protocol.base} has none",
        "recipe": _recipe(settings, reference, protocol),
    }
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    active = tuple(name for name in FACTORS if name not in left_out)
    return Factors(active, left_out, {"images": True, "recipe": True})


def _images(subject: CompressedSet, source: Source) -> str | None:
    classes = len(source.classes)
    wanted = subject.labels.bincount(minlength=classes)
    short = (wanted > source.train.labels.bincount(minlength=classes)).nonzero().flatten()
    if not len(short):
        return None
    name = source.classes[int(short[0])]
    return f"train holds too few images of class {name!r} to draw as many at random"


def _labels(subject: CompressedSet, protocol: Protocol, random: bool) -> str | None:
    settings = protocol.settings
    if settings.loss.name == CROSS_ENTROPY.name:
        return f"the loss of {protocol.base} takes no soft labels"
    if settings.teacher is not None:
        return None
    if subject.soft is None:
        return f"the set stores no soft labels, and {protocol.base} trains no teacher"
    return f"{protocol.base} trains no teacher to label random images" if random else None


def _recipe(settings: Settings, reference: Settings, protocol: Protocol) -> str | None:
    same = all(getattr(settings, field) == getattr(reference, field) for field in _RECIPE)
    return f"that of {protocol.base} is the reference" if same else None


def regime(case: Case, protocol: Protocol) -> Labels:
    """How the protocol itself labels the set softly; "given", its choice by set, where it does not.

    Asked about one image of the set, as many as which any source can draw at random.
    """
    one = dataclasses.replace(case, subject=_first(case.subject))
    own = (arm.recipe for arm in protocol.arms(one) if arm.sets[0] is one.subject)
    return next((recipe.labels for recipe in own if recipe.labels != "hard"), "given")


def _first(subject: CompressedSet) -> CompressedSet:
    rows = {
        name: tensor[:1]
        for name in ("images", "labels", "soft", "weights", "index")
        if (tensor := getattr(subject, name)) is not None
    }
    return dataclasses.replace(subject, **rows)


def arm(
    case: Case,
    settings: Settings,
    reference: Settings,
    levels: Mapping[str, bool],
    soft: Labels = "hard",
) -> Arm:
    """The students of one cell; student, whitening and precision are the protocol's in all cells.

    `soft` is the protocol's own regime of soft labels: see `regime`.
    """
    loss = settings.loss
    if not levels["recipe"]:
        taken = {field: getattr(reference, field) for field in _RECIPE}
        settings = dataclasses.replace(settings, **taken)
        loss = SOFT
    if not levels["augmentation"]:
        settings = dataclasses.replace(settings, augment=())
    base = protocols.recipe(settings, case.source)
    sets = (case.subject,) if levels["images"] else protocols.random_sets(case, settings)
    if levels["labels"]:
        base = _taught(base, case, sets[0], dataclasses.replace(settings, loss=loss), soft)
    name = "_".join((ON if levels[factor] else OFF)[factor] for factor in FACTORS)
    return Arm(name, sets, base, settings.rates, protocols.seeds_of(settings))


def _taught(
    base: Recipe, case: Case, data: CompressedSet, settings: Settings, soft: Labels
) -> Recipe:
    """The recipe with soft labels: a teacher's for every view, or those stored with the set."""
    if soft in ONLINE:
        return dataclasses.replace(base, labels=soft, loss=settings.loss, teacher=case.teachers)
    return protocols.supervised(settings, case, data, base)
