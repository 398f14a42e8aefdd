"""The one place where trust meets compressors: a source that holds what a report keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hydrometer import digest
from hydrometer.methods.budget import per_class
from hydrometer.methods.trust.quality import quality
from hydrometer.methods.trust.report import Provenance, TrustReport, doubts
from hydrometer.sources.noise import NoisySource
from hydrometer.types import Belief, Budget, CompressedSet, HydrometerError, Source, Split, Trusted


def trusted(source: Source, report: TrustReport) -> Source:
    """The source with the kept rows of `train` under given or recalibrated labels; `index` stays.

    `val` is left as noisy as it is. A recalibrated image gets the likeliest class of its target as its
    label; where there are any, soft targets and weights of all kept images come along as `belief`,
    which the machinery that methods share reads: experts, teachers, real batches. Where all is kept
    the source comes back as it is; otherwise its digest differs, so that no network trained on the
    one passes for one of the other.

    Raises:
        HydrometerError: The report is of another source, or leaves a class without an image.
    """
    train = source.train
    if len(report.given) != len(train) or not (report.given == train.labels.numpy()).all():
        raise HydrometerError(f"the trust report is not of the train part of {source.name}")
    if (report.provenance == Provenance.GIVEN).all():
        return source
    rows = torch.from_numpy(report.keep.nonzero()[0])
    labels = torch.from_numpy(report.target.argmax(1))[rows]
    empty = [
        name
        for name, before, after in zip(
            source.classes,
            train.labels.bincount(minlength=len(source.classes)).tolist(),
            labels.bincount(minlength=len(source.classes)).tolist(),
            strict=True,
        )
        if before and not after
    ]
    if empty:
        raise HydrometerError(f"no image of class {empty[0]!r} of {source.name} is trusted")
    index, belief = train.index[rows], _belief(report)
    told = () if belief is None else (belief.weight, belief.target)
    version = 1 if belief is None else 2
    return replace(
        source,
        train=Split(train.images[rows], labels, index, belief),
        digest=digest.of_tensors(index, labels, *told, salt=f"trust@{version}/{source.digest}"),
    )


def _belief(report: TrustReport) -> Belief | None:
    """Weights and targets of the kept rows; nothing where they say no more than the labels."""
    weight, target = report.weight[report.keep], report.target[report.keep]
    if (weight == 1).all() and (target.max(1) == 1).all():
        return None
    return Belief(torch.from_numpy(weight).float(), torch.from_numpy(target).float())


def affordable(source: Source, seen: Source, budget: Budget) -> Budget:
    """What a budget for the source is in terms of its trusted part: a fraction stays one of the whole.

    Raises:
        HydrometerError: Fewer images are trusted than the fraction asks for.
    """
    if budget.fraction is None:
        return budget
    count, most = sum(per_class(source, budget)), len(seen.train)
    if count > most:
        raise HydrometerError(
            f"budget {budget} asks for {count} images, but only {most} of {source.name} are trusted; "
            "lower the budget"
        )
    return Budget(fraction=count / max(1, most))


def credited(
    made: CompressedSet, source: Source, report: TrustReport, budget: Budget, how: str
) -> CompressedSet:
    """A set made from a trusted source, its card naming source and budget asked for, and the trust."""
    counts = {code.name.lower(): int((report.provenance == code).sum()) for code in Provenance}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    doubted = doubts(report, source.classes)
    card = made.card.model_copy(
        update={
            "source": source.name,
            "source_digest": source.digest,
            "budget": str(budget),
            "seconds": made.card.seconds + report.seconds,
            "notes": (*made.card.notes, f"trust {how}: {told}", *report.notes, *doubted),
            "trust": judged(source, report, how),
        }
    )
    return replace(made, card=card)


def judged(source: Source, report: TrustReport, how: str) -> Trusted:
    """A report in numbers for a card, with its quality where the clean labels are known."""
    shares: dict[str, float] = {}
    if isinstance(source, NoisySource):
        found = quality(report, source)
        shares = {
            "precision": found.precision,
            "coverage": found.coverage,
            "least_coverage": found.least_coverage,
        }
    return Trusted(
        estimator=how,
        images=len(report.given),
        kept=int(report.keep.sum()),
        recalibrated=int((report.provenance == Provenance.RECALIBRATED).sum()),
        seconds=report.seconds,
        **{name: share for name, share in shares.items() if not np.isnan(share)},
    )
