"""The one place where trust meets compressors: a source that holds what a report keeps."""

from __future__ import annotations

from dataclasses import replace

import torch

from hydrometer import digest
from hydrometer.methods.trust.report import Provenance, TrustReport
from hydrometer.types import CompressedSet, HydrometerError, Source, Split


def trusted(source: Source, report: TrustReport) -> Source:
    """The source with the kept rows of `train` under given or recalibrated labels; `index` stays.

    `val` is left as noisy as it is. A recalibrated image gets the likeliest class of its target, and
    weights are left to those who can use them: compressors take hard labels and no weights. Where all
    is kept the source comes back as it is; otherwise its digest differs, so that no network trained
    on the one passes for one of the other.

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
    index = train.index[rows]
    return replace(
        source,
        train=Split(train.images[rows], labels, index),
        digest=digest.of_tensors(index, labels, salt=f"trust@1/{source.digest}"),
    )


def credited(made: CompressedSet, source: Source, report: TrustReport, how: str) -> CompressedSet:
    """A set made from a trusted source, its card naming the source itself and what trust did."""
    counts = {code.name.lower(): int((report.provenance == code).sum()) for code in Provenance}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    card = made.card.model_copy(
        update={
            "source": source.name,
            "source_digest": source.digest,
            "seconds": made.card.seconds + report.seconds,
            "notes": (*made.card.notes, f"trust {how}: {told}", *report.notes),
        }
    )
    return replace(made, card=card)
