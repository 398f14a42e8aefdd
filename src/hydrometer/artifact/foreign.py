"""Import and export of compressed sets in foreign formats."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from hydrometer import registry
from hydrometer.artifact.checks import finite, same_shape
from hydrometer.artifact.container import make
from hydrometer.artifact.formats import Foreign, Reader, Writer, guess
from hydrometer.artifact.space import Whitening, to_pixels
from hydrometer.types import Budget, CompressedSet, HydrometerError, Source, Spec


def import_set(
    path: Path,
    *,
    source: Source,
    space: str,
    whitening: Whitening | None = None,
    format: str | None = None,
    labels_path: Path | None = None,
    student_lr: float | None = None,
) -> CompressedSet:
    """Read a foreign set into pixel space; nothing is written.

    `space` is `pixel`, `normalised` or `zca`, and `whitening` inverts the latter two. `format` is a
    spec such as `pt-dict(which=0)`, guessed from the path where it is not given. `labels_path`
    replaces the labels found beside `pt-pair` images, `student_lr` the learned rate found there.
    Float values that leave [0, 1] are kept and counted in a note.

    Raises:
        HydrometerError: The path cannot be read, its values are not of the stated space, or the set
            does not fit the source.
    """
    spec = registry.parse(format or guess(path))
    extra = {} if labels_path is None else {"labels": str(labels_path)}
    reader: Reader = registry.build("format", spec, **extra)
    foreign = reader.read(path, source)
    if not len(foreign.images):
        raise HydrometerError(f"{path} holds no images")
    same_shape(foreign.images, source)
    finite("images", foreign.images)
    rate = foreign.student_lr if student_lr is None else student_lr
    if rate is not None and not 0 < rate < math.inf:
        raise HydrometerError(f"student_lr={rate} is out of range; a learning rate lies above 0")
    images, notes = to_pixels(foreign.images, space, whitening)
    return make(
        images,
        foreign.labels,
        source=source,
        method=str(Spec("import", (("format", spec.name), ("space", space)))),
        budget=str(_budget(foreign, source)),
        seed=None,
        seconds=0.0,
        soft=foreign.soft,
        weights=foreign.weights,
        index=foreign.index,
        student_lr=rate,
        notes=(
            f"imported from {path.name}; its method's seconds are unknown",
            *foreign.notes,
            *notes,
        ),
    )


def export_set(compressed: CompressedSet, path: Path, format: str) -> tuple[str, ...]:
    """Write a set in a foreign format, whole or not at all, and return what it could not keep.

    Raises:
        HydrometerError: The format is unknown or import-only, or the path cannot be written.
    """
    writer = registry.build("format", registry.parse(format))
    if not isinstance(writer, Writer):
        known = registry.names("format")
        able = [name for name in known if isinstance(registry.get("format", name)(), Writer)]
        raise HydrometerError(f"format {format!r} is import-only; export to: {', '.join(able)}")
    return writer.write(compressed, path)


def _budget(foreign: Foreign, source: Source) -> Budget:
    """Images per class where every class has as many, else the fraction of `train`.

    Learned soft labels may prefer another class than the image was made for, so that only their
    mean per class counts.
    """
    classes, count = len(source.classes), len(foreign.labels)
    counts = torch.bincount(foreign.labels.clamp(min=0), minlength=classes)
    balanced = bool((counts == counts[0]).all())
    if balanced or (foreign.soft is not None and count % classes == 0):
        return Budget(per_class=count // classes)
    return Budget(fraction=min(1.0, count / max(1, len(source.train))))
