"""The nouns of Hydrometer: frozen, free of any other Hydrometer import, and cheap to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from torch import Tensor

Scalar = str | int | float | bool | None
Labels = Literal["hard", "given", "fixed", "teacher", "teacher-batch", "bank"]
Precision = Literal["float32", "bfloat16"]
Asked = Literal["auto", "float32", "bfloat16"]
"""A precision, or the fastest one the machine has and the student is cleared for."""


class HydrometerError(Exception):
    """A mistake the user can mend; the message says what, where, and what to do instead."""


@dataclass(frozen=True)
class Spec:
    """A registered thing together with the arguments it was asked for, such as `sgd(momentum=0.9)`.

    What is built from a spec can be rebuilt from its text: `registry.parse(str(spec)) == spec`.
    """

    name: str
    args: tuple[tuple[str, Scalar], ...] = ()

    def __str__(self) -> str:
        if not self.args:
            return self.name
        inside = ",".join(f"{k}={_literal(v)}" for k, v in sorted(self.args))
        return f"{self.name}({inside})"

    @property
    def kwargs(self) -> dict[str, Scalar]:
        """The arguments as keywords."""
        return dict(self.args)


def _literal(value: Scalar) -> str:
    return value if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Belief:
    """How far the labels of a split are believed, where not all are alike.

    `weight` is (n,) float32, positive; `target` is (n, k) float32, rows sum to one.
    """

    weight: Tensor
    target: Tensor


@dataclass(frozen=True)
class Split:
    """Images and labels of one part of a source.

    `images` is (n, c, h, w) uint8, possibly memory-mapped; `labels` is (n,) int64; `index` is (n,)
    int64, the rows of the original part that these are (`train` and `val` share one original).
    `belief` is there where a trust estimator mended labels, for those who can use more than labels.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    belief: Belief | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Source:
    """A real dataset, with `val` cut from `train` by a fixed rule and a `test` read once, at the end.

    `mean` and `std` are per channel, for pixels in [0, 1]. `digest` covers every split.
    """

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    val_rule: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        _, c, h, w = self.train.images.shape
        return c, h, w


class Stored(BaseModel):
    """Base of everything written to disk: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Bytes(Stored):
    """What must be stored to train from a set, in bytes."""

    images: int
    labels: int
    teacher: int = 0

    @property
    def total(self) -> int:
        """Everything together."""
        return self.images + self.labels + self.teacher


class Trusted(Stored):
    """Which labels of its source a set was made from, and how well they were told apart.

    `kept` of `images` were used, `recalibrated` of them under another label. `precision` is the share
    of used labels that are right, `coverage` that of rightly labelled images that were used, and
    `least_coverage` that of the class with the lowest: known where the clean labels are.
    """

    estimator: str
    images: int
    kept: int
    recalibrated: int
    precision: float | None = None
    coverage: float | None = None
    least_coverage: float | None = None
    seconds: float


TRUST_LAYOUT = "trust@3"
"""Raised when estimators say otherwise of the same evidence, so that nothing made before is taken."""
REVISED = {"tad": 1, "combined": 1}
"""How often one estimator alone changed; here, as a plan reports its status without any plug-in."""


class Card(Stored):
    """Where a compressed set comes from, and what storing it costs."""

    schema_version: Literal[1] = 1
    source: str
    source_digest: str
    classes: tuple[str, ...]
    method: str
    """The spec of the method, or `import(...)` for a foreign set."""
    budget: str
    seed: int | None
    seconds: float
    """Wall time of the method, scoring and teacher included; 0 where unknown, as of a foreign set."""
    bytes: Bytes
    codec: str = "raw"
    """How the images are stored where `bytes` counts them: `raw`, `png`, `jpeg(quality=75)`."""
    student_lr: float | None = None
    """A student learning rate that was learned with the set; never used unless a protocol says so."""
    notes: tuple[str, ...] = ()
    trust: Trusted | None = None

    @property
    def title(self) -> str:
        """The method, and whom it trusted about labels: what tells two sets of a budget apart."""
        return f"{self.method}, trust {self.trust.estimator}" if self.trust else self.method


@dataclass(frozen=True)
class CompressedSet:
    """What every method makes and every protocol takes.

    `images` is (n, c, h, w) in pixel space: uint8, or float32 with 1.0 for white, whose values may
    leave [0, 1] and are then kept. `labels` is (n,) int64. `soft` is (n, k) float32 logits, `weights`
    (n,) float32, `index` (n,) int64 rows of the original train part, where the images are real.
    """

    images: Tensor
    labels: Tensor
    card: Card
    digest: str
    soft: Tensor | None = None
    weights: Tensor | None = None
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Budget:
    """How much may be stored: exactly one of images per class, a fraction of train, or bytes."""

    per_class: int | None = None
    fraction: float | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        given = [v for v in (self.per_class, self.fraction, self.bytes) if v is not None]
        if len(given) != 1:
            raise HydrometerError("give exactly one budget: images per class, a fraction, or bytes")
        if given[0] < 0 or (self.fraction is not None and not self.fraction <= 1):
            raise HydrometerError(
                f"budget {self} is out of range: counts >= 0, fractions in [0, 1]"
            )

    def some(self) -> Budget:
        """Itself: what a user asks for is some images, while code may have a use for an empty set.

        Raises:
            HydrometerError: It is nothing, of any source.
        """
        if 0 in (self.per_class, self.fraction, self.bytes):
            raise HydrometerError(f"budget {self} asks for no image; give more than 0")
        return self

    def __str__(self) -> str:
        if self.per_class is not None:
            return f"ipc={self.per_class}"
        return f"fraction={self.fraction}" if self.fraction is not None else f"bytes={self.bytes}"


@dataclass(frozen=True)
class Recipe:
    """How one student is trained; two recipes with the same digest train the same student.

    `epochs` counts passes over the set. `augment` is applied in order. `labels` says which labels
    supervise; `loss` is the soft-label loss of the regimes that have one. `teacher` lists digests of
    teachers. `average` is the decay of a weight average that is tested instead of the last weights.
    """

    student: Spec
    optimiser: Spec
    lr: float
    schedule: Spec
    epochs: int
    batch: int
    augment: tuple[Spec, ...] = ()
    labels: Labels = "hard"
    loss: Spec = Spec("cross-entropy")
    teacher: tuple[str, ...] = ()
    whiten: Spec | None = None
    average: float | None = None
    precision: Precision = "float32"
    bank: str | None = field(default=None, metadata={"omitted": True})
    """Digest of the bank that labels "bank" are read from; left out of digests where there is none."""


@dataclass(frozen=True)
class Trial:
    """One student to train: on what, how, measured against which source, from which seed."""

    set_digest: str
    source_digest: str
    recipe: Recipe
    seed: int


class Environment(Stored):
    """Where a run happened."""

    hydrometer: str
    torch: str
    python: str
    device: str
    threads: int


class Run(Stored):
    """One trained student: a row of the store.

    Hits are counts per class, in class order, of the one reading of `val` and `test` after the last
    step; `totals` are the images per class they are out of.
    """

    schema_version: Literal[1] = 1
    key: str
    set_digest: str
    source_digest: str
    recipe_digest: str
    recipe: str
    """The recipe as canonical JSON, from which the run can be made again."""
    seed: int
    status: Literal["done", "diverged"]
    diverged_step: int | None = None
    val_hits: tuple[int, ...]
    val_totals: tuple[int, ...]
    test_hits: tuple[int, ...]
    test_totals: tuple[int, ...]
    source: str = ""
    method: str = ""
    budget: str = ""
    """Where the set came from, so that a baseline can be made again from its row."""
    losses: tuple[float, ...]
    """Mean training loss of each of up to 100 equal stretches of the run."""
    steps: int
    seconds: float
    environment: Environment

    @property
    def val_accuracy(self) -> float:
        """Fraction of `val` the student gets right after its last step."""
        return sum(self.val_hits) / max(1, sum(self.val_totals))

    @property
    def test_accuracy(self) -> float:
        """Fraction of `test` the student gets right after its last step."""
        return sum(self.test_hits) / max(1, sum(self.test_totals))


@dataclass(frozen=True)
class Arm:
    """Students that differ only in seed and, while it is being chosen on `val`, learning rate.

    `sets` holds one set for all seeds, or one per seed (a random baseline is redrawn with the seed).
    """

    name: str
    sets: tuple[CompressedSet, ...]
    recipe: Recipe
    rates: tuple[float, ...]
    seeds: tuple[int, ...]

    def set_for(self, position: int) -> CompressedSet:
        """The set trained on by the seed at this position."""
        return self.sets[position % len(self.sets)]


class Estimate(Stored):
    """A number with its interval: `level` is its nominal coverage, `n` the seeds behind it."""

    value: float
    low: float
    high: float
    level: float
    n: int


class ArmResult(Stored):
    """What the students of one arm reached, by seed, at the rate chosen on `val`."""

    name: str
    set_digest: tuple[str, ...]
    recipe_digest: str
    lr: float
    seeds: tuple[int, ...]
    accuracy: tuple[float, ...]
    """Test accuracy of each seed, a fraction; a diverged student counts with what it has."""
    val_accuracy: tuple[float, ...]
    diverged: int
    runs: tuple[str, ...]
    """Keys of every run of the arm in the store, all rates."""


class Verdict(Stored):
    """The outcome of one protocol on one set: arms with raw accuracies, and estimates over them."""

    schema_version: Literal[1] = 1
    protocol: str
    set_digest: str
    source: str
    source_digest: str
    card: Card
    arms: tuple[ArmResult, ...]
    estimates: Mapping[str, Estimate] = Field(default_factory=dict)
    notices: tuple[str, ...] = ()
    steps: int = 0
    """Optimiser steps of all students, tuning included."""
    seconds: float
    """Training and testing time of all students, tuning included; a teacher's is on its card."""
    teacher_bytes: int = 0
    """What a teacher that arms learn from on-line takes to store."""
    bank_bytes: int = 0
    """What a label bank that arms learn from takes to store."""
    environment: Environment


@dataclass(frozen=True)
class Cost:
    """What an evaluation is going to take, before it starts."""

    students: int
    done: int
    steps: int
    seconds: float | None = field(default=None)
