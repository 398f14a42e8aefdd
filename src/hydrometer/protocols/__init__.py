"""Protocols: which students are trained for one verdict, under a name that never changes meaning.

A protocol turns a set and a source into arms of trials. Its released settings are frozen; a changed
setting appears in the name, so that a modified run can never pass for the real one.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hydrometer import registry, students
from hydrometer.artifact.rows import from_rows, whole
from hydrometer.engine.environment import default_device, native_precision
from hydrometer.sources.draw import draw
from hydrometer.types import (
    Arm,
    Asked,
    CompressedSet,
    HydrometerError,
    Labels,
    Precision,
    Recipe,
    Source,
    Spec,
)

DSA = (Spec("dsa"),)
SGD = Spec("sgd", (("momentum", 0.9), ("weight_decay", 5e-4)))
HALF_WAY = Spec("step", (("every", 0.5), ("gamma", 0.1)))
TRIANGLE = Spec("triangle", (("warmup", 0.2),))
RATES = (0.001, 0.005, 0.01, 0.05, 0.1)
"""The learning-rate grid of DD-Ranking."""
CROSS_ENTROPY = Spec("cross-entropy")
SOFT = Spec("soft-cross-entropy", (("temperature", 1.0),))
CLEARED = frozenset({("cpu", "convnet(depth=3,norm=instance,width=128)")})
"""Devices and students of which benchmarks/precision.py finds the same accuracy in bfloat16, n=20.

The difference is 0.00 points [-0.03, 0.03]; that of ConvNet-2 on digits is 0.06, which is significant,
and accelerators have not been compared: docs/results/precision.md.
"""
QUICK_RATES = (0.01, 0.03, 0.1)


@dataclass(frozen=True)
class Full:
    """How the full-data arm is trained: once per source, student and these settings, untuned."""

    epochs: int
    batch: int
    lr: float
    optimiser: Spec
    schedule: Spec
    augment: tuple[Spec, ...] = ()
    seeds: int = 5
    least_steps: int = 0
    """Small sources get as many epochs as it takes to make this many steps."""
    student: Spec | None = dataclasses.field(default=None, metadata={"omitted": True})
    """None is the protocol's own student, also where that is changed."""

    def epochs_on(self, images: int) -> int:
        """Epochs on a source of this size."""
        return max(self.epochs, -(-self.least_steps // -(-images // self.batch)))


FULL = Full(epochs=200, batch=512, lr=0.01, optimiser=SGD, schedule=HALF_WAY)
"""DD-Ranking's recipe of the full-data reference on CIFAR with ConvNets."""
QUICK_FULL = Full(epochs=4, batch=64, lr=0.03, optimiser=SGD, schedule=TRIANGLE, least_steps=300)


@dataclass(frozen=True)
class Settings:
    """Everything a protocol fixes and a user may change (which renames the protocol)."""

    epochs: int
    batch: int
    optimiser: Spec
    schedule: Spec
    rates: tuple[float, ...]
    seeds: int
    augment: tuple[Spec, ...]
    student: Spec | None = None
    """None is the field's choice for the image size: see `students.default_for`."""
    whiten: Spec | None = None
    loss: Spec = CROSS_ENTROPY
    average: float | None = None
    precision: Asked = "auto"
    """"auto" is bfloat16 where the device has it and both are in CLEARED, else float32."""
    full: Full | None = None
    teacher: Full | None = None
    """How the protocol's own teacher is trained, if it needs one."""
    bank: str | None = dataclasses.field(default=None, metadata={"omitted": True})
    """Digest of a bank that holds the teacher's labels of the subject's views."""


@dataclass(frozen=True)
class Case:
    """One thing to judge: a set, the source it is judged against, and the teachers at hand."""

    subject: CompressedSet
    source: Source
    teachers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """A released procedure: settings, the arms it trains and the metrics it reports.

    `released` are the settings the plain name stands for; where `settings` differ, the name says so.
    """

    base: str
    about: str
    released: Settings
    settings: Settings
    metrics: tuple[str, ...]
    build: Callable[[Case, Settings], list[Arm]]

    @property
    def name(self) -> str:
        """`name@version`, with every changed setting in braces; reads back through `load`."""
        changes = [f"{k}={v}" for k, v in _differences(self.released, self.settings)]
        return self.base + (f"{{{','.join(changes)}}}" if changes else "")

    def arms(self, case: Case) -> list[Arm]:
        """The arms of trials for a case, in the order they are best trained."""
        return self.build(case, self.settings)

    def changed(self, changes: dict[str, str]) -> Protocol:
        """The protocol with settings given as text; an unknown or impossible one is an error."""
        settings = self.settings
        for name, text in changes.items():
            settings = _changed(settings, name, text)
        names = [s.loss.name == CROSS_ENTROPY.name for s in (self.released, settings)]
        if names[0] != names[1]:
            kind = "hard" if names[0] else "soft"
            raise HydrometerError(
                f"{self.base} trains with {kind} labels, so loss={settings.loss} does not fit it"
            )
        return dataclasses.replace(self, settings=settings)


def release(
    name: str,
    *,
    about: str,
    settings: Settings,
    metrics: tuple[str, ...],
    build: Callable[[Case, Settings], list[Arm]],
) -> Protocol:
    """Register a protocol under `name@version`."""
    protocol = Protocol(name, about, settings, settings, metrics, build)
    return registry.register("protocol", name)(protocol)


def load(name: str) -> Protocol:
    """The protocol a name asks for: `ddranking-hard@1`, or changed, `ddranking-hard@1{epochs=100}`."""
    released, written = _written(name)
    return released.changed(written)


def adjusted(name: str, *options: dict[str, str]) -> Protocol:
    """The protocol a name asks for, with the settings that options give it.

    Raises:
        HydrometerError: As `load`; or the name and an option, or two options, differ about a setting.
    """
    released, wanted = _written(name)
    for setting, text in (pair for option in options for pair in option.items()):
        _refuse_two(released, setting, wanted.setdefault(setting, text), text)
    return released.changed(wanted)


def _refuse_two(released: Protocol, setting: str, first: str, second: str) -> None:
    """Refuse two values of one setting; two spellings of one value are one."""
    if first == second:
        return
    one, other = (released.changed({setting: text}).settings for text in (first, second))
    if one != other:
        raise HydrometerError(
            f"setting {setting} is given twice, as {first} and as {second}; give it once"
        )


def _written(name: str) -> tuple[Protocol, dict[str, str]]:
    """The released protocol of a name, and the changes in its braces."""
    match = re.fullmatch(r"([^{}]+?)(?:\{(.*)\})?", name.strip())
    if match is None:
        raise HydrometerError(f"cannot read protocol {name!r}; write name@version{{setting=value}}")
    base, inside = match.groups()
    found: Protocol = registry.get("protocol", base if "@" in base else _latest(base))
    return found, read_changes(inside or "")


def read_changes(text: str) -> dict[str, str]:
    """`epochs=100,student=convnet(depth=3,width=64)` as a mapping; commas inside brackets stay."""
    changes: dict[str, str] = {}
    for part in registry.listed(text):
        key, equals, value = part.partition("=")
        if not equals:
            raise HydrometerError(f"cannot read {part!r}; changes are setting=value")
        setting, asked = key.strip(), value.strip()
        if changes.setdefault(setting, asked) != asked:
            raise HydrometerError(
                f"setting {setting} is given twice, as {changes[setting]} and as {asked}; give it once"
            )
    return changes


def recipe(settings: Settings, source: Source, **changes: object) -> Recipe:
    """The recipe of a small-set arm; the rate is a placeholder until an arm fills it in."""
    plain = Recipe(
        student=settings.student or students.default_for(source.shape),
        optimiser=settings.optimiser,
        lr=settings.rates[0],
        schedule=settings.schedule,
        epochs=settings.epochs,
        batch=settings.batch,
        augment=settings.augment,
        loss=settings.loss if settings.loss.name == CROSS_ENTROPY.name else CROSS_ENTROPY,
        whiten=settings.whiten,
        average=settings.average,
        precision=precision(settings, source),
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def precision(settings: Settings, source: Source) -> Precision:
    """The precision students are trained in on this machine; recorded in every run and its key."""
    if settings.precision != "auto":
        return settings.precision
    return admitted(settings.student or students.default_for(source.shape))


def admitted(student: Spec) -> Precision:
    """What "auto" is for a student on this machine."""
    device = default_device()
    return native_precision(device) if (device.type, str(student)) in CLEARED else "float32"


def supervised(settings: Settings, case: Case, data: CompressedSet, base: Recipe) -> Recipe:
    """The soft-label recipe of a set: its own labels where it has them, else the teacher's.

    Beside a subject with one stored vector per image, other sets get one from the teacher as well
    (DD-Ranking's mode S); beside one without, the teacher labels every view of both (mode M).
    """
    labels: Labels = "given" if data.soft is not None else "teacher"
    if labels == "teacher" and case.subject.soft is not None:
        labels = "fixed"
    teacher = () if labels == "given" else case.teachers
    return dataclasses.replace(base, labels=labels, loss=settings.loss, teacher=teacher)


def full_recipe(settings: Settings, how: Full, source: Source) -> Recipe:
    """The recipe of the full-data arm and of a teacher trained on full data."""
    own = settings if how.student is None else dataclasses.replace(settings, student=how.student)
    return recipe(
        own,
        source,
        optimiser=how.optimiser,
        lr=how.lr,
        schedule=how.schedule,
        epochs=how.epochs_on(len(source.train)),
        batch=how.batch,
        augment=how.augment,
        average=None,
    )


def seeds_of(settings: Settings) -> tuple[int, ...]:
    """Seeds 0, 1, ...: the same in every arm, so that arms pair by seed."""
    return tuple(range(settings.seeds))


def learned_rates(case: Case, settings: Settings) -> tuple[float, ...]:
    """The student rate that was learned with the subject, for every arm, or those of the settings.

    Raises:
        HydrometerError: The learned rate is no positive number.
    """
    learned = case.subject.card.student_lr
    if learned is not None and not 0 < learned < math.inf:
        raise HydrometerError(f"the set's learned student rate is {learned}; it must be above 0")
    return settings.rates if learned is None else (learned,)


def random_sets(case: Case, settings: Settings) -> tuple[CompressedSet, ...]:
    """One random real set per seed with the subject's count in each class, whatever the subject."""
    counts = case.subject.labels.bincount(minlength=len(case.source.classes)).tolist()
    return tuple(
        from_rows(
            case.source,
            draw(case.source, counts, seed),
            method=f"random(seed={seed})",
            budget=f"images={sum(counts)}",
            seed=seed,
        )
        for seed in seeds_of(settings)
    )


def beside_random(case: Case, settings: Settings, how: Recipe) -> list[Arm]:
    """The subject, and random real images trained in the same way."""
    seeds = seeds_of(settings)
    return [
        Arm("subject", (case.subject,), how, settings.rates, seeds),
        Arm("random", random_sets(case, settings), how, settings.rates, seeds),
    ]


def full_arm(case: Case, settings: Settings) -> Arm:
    """The full-data arm: the same trials for every set of a source, so trained once and kept."""
    if settings.full is None:
        raise HydrometerError("this protocol has no full-data arm")
    how = settings.full
    return Arm(
        "full",
        (whole(case.source),),
        full_recipe(settings, how, case.source),
        (how.lr,),
        tuple(range(how.seeds)),
    )


def _latest(base: str) -> str:
    versions = [n for n in registry.names("protocol") if n.partition("@")[0] == base]
    if not versions:
        raise registry.unknown("protocol", base, registry.names("protocol"))
    return max(versions, key=lambda n: int(n.partition("@")[2]))


T = TypeVar("T", Settings, Full)

_PLAIN: dict[str, Callable[[str], object]] = {
    "epochs": int,
    "batch": int,
    "seeds": int,
    "least_steps": int,
    "average": float,
    "student": students.spec,
    "optimiser": registry.parse,
    "schedule": registry.parse,
    "loss": registry.parse,
    "whiten": registry.parse,
    "precision": str,
    "bank": str,
    "rates": lambda text: tuple(sorted({float(part) for part in text.split("|")})),
    "augment": lambda text: tuple(registry.parse(p) for p in text.split("|") if p != "none"),
}


def _changed(settings: Settings, name: str, text: str) -> Settings:
    """The settings with one field read from text; `full.` and `teacher.` reach inside those."""
    outer, dot, inner = name.partition(".")
    if name == "full.student":
        raise HydrometerError("the full-data arm is of the protocol's student; set student")
    if dot and outer in ("full", "teacher") and getattr(settings, outer) is not None:
        part = _changed_field(getattr(settings, outer), inner, text, name)
        return dataclasses.replace(settings, **{outer: part})
    return _changed_field(settings, name, text, name)


def _changed_field(holder: T, field: str, text: str, shown: str) -> T:
    known = [f.name for f in dataclasses.fields(holder) if f.name in _PLAIN or f.name == "lr"]
    if field not in known:
        raise registry.unknown("setting", shown, sorted(known))
    try:
        value: object = float(text) if field == "lr" else _PLAIN[field](text)
    except ValueError:
        raise HydrometerError(f"setting {shown}={text!r} is not of the right kind") from None
    _check(shown, value)
    return dataclasses.replace(holder, **{field: value})  # type: ignore[arg-type]


def _differences(released: Settings | Full, settings: Settings | Full) -> list[tuple[str, str]]:
    """Fields that differ, with the new value as text that `_changed` reads, in order of name."""
    found = []
    for field in sorted(f.name for f in dataclasses.fields(released)):
        old, new = getattr(released, field), getattr(settings, field)
        if isinstance(old, Full) and isinstance(new, Full):
            found += [(f"{field}.{k}", v) for k, v in _differences(old, new)]
        elif old != new:
            found.append((field, _text(new)))
    return found


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "|".join(map(_text, value)) or "none"
    return repr(value) if isinstance(value, float) else str(value)


def _check(name: str, value: object) -> None:
    low = 1 if isinstance(value, int) and not name.endswith("least_steps") else 0
    high = 1 if name.endswith("average") else math.inf
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, int) and number < low:
            raise HydrometerError(f"setting {name}={number} is out of range: at least {low}")
        if isinstance(number, float) and not 0 < number < high:
            raise HydrometerError(f"setting {name}={number} is out of range: above 0, below {high}")
    if name.endswith("precision") and value not in ("auto", "float32", "bfloat16"):
        raise HydrometerError(f"precision {value!r} is unknown; known: auto, float32, bfloat16")
