"""What a trust report leaves on disk: a summary for people, and the rows and labels that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from hydrometer.artifact.writing import whole
from hydrometer.methods.trust.quality import quality
from hydrometer.methods.trust.report import Provenance, TrustReport, doubts
from hydrometer.sources.noise import NoisySource
from hydrometer.types import Source, Stored


class Suspect(Stored):
    """An image whose given label is not believed; `index` is its row in the original train part."""

    index: int
    given: str
    suggested: str
    trust: float
    provenance: str


class Summary(Stored):
    """A trust report on a source: counts, noise by given class, P(given | true), and suspects.

    `precision`, `coverage` and `least_coverage`, that of the worst class, are there where the clean
    labels are known.
    """

    schema_version: Literal[1] = 1
    source: str
    source_digest: str
    estimator: str
    images: int
    counts: dict[str, int]
    noise: dict[str, float]
    transition: tuple[tuple[float, ...], ...]
    suspects: tuple[Suspect, ...]
    precision: float | None
    coverage: float | None
    least_coverage: float | None = None
    notes: tuple[str, ...]
    seconds: float


class Cleaned(Stored):
    """The kept rows of the original train part, in order, with the label and weight of each."""

    schema_version: Literal[1] = 1
    source: str
    source_digest: str
    estimator: str
    classes: tuple[str, ...]
    index: tuple[int, ...]
    label: tuple[int, ...]
    weight: tuple[float, ...]


def summary(report: TrustReport, source: Source) -> Summary:
    """The summary of a report; suspects come least trusted first."""
    known = quality(report, source) if isinstance(source, NoisySource) else None
    of_noise = source.notes if isinstance(source, NoisySource) else ()
    names = source.classes
    return Summary(
        source=source.name,
        source_digest=source.digest,
        estimator=report.estimator,
        images=len(report.given),
        counts={code.name.lower(): int((report.provenance == code).sum()) for code in Provenance},
        noise=dict(zip(names, report.noise.tolist(), strict=True)),
        transition=tuple(map(tuple, report.transition.tolist())),
        suspects=tuple(_suspect(report, source, int(row)) for row in report.suspects),
        precision=known.precision if known else None,
        coverage=known.coverage if known else None,
        least_coverage=known.least_coverage if known else None,
        notes=(*of_noise, *report.notes, *doubts(report, names)),
        seconds=report.seconds,
    )


def cleaned(report: TrustReport, source: Source) -> Cleaned:
    """The rows a report keeps, with given or recalibrated labels."""
    rows = np.flatnonzero(report.keep)
    return Cleaned(
        source=source.name,
        source_digest=source.digest,
        estimator=report.estimator,
        classes=source.classes,
        index=tuple(source.train.index.numpy()[rows].tolist()),
        label=tuple(report.target[rows].argmax(1).tolist()),
        weight=tuple(report.weight[rows].tolist()),
    )


def write(record: Stored, path: Path) -> None:
    """Write a record as JSON, whole or not at all."""
    with whole(path) as draft:
        draft.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _suspect(report: TrustReport, source: Source, row: int) -> Suspect:
    return Suspect(
        index=int(source.train.index[row]),
        given=source.classes[report.given[row]],
        suggested=source.classes[report.suggested[row]],
        trust=float(report.trust[row]),
        provenance=Provenance(report.provenance[row]).name.lower(),
    )
