"""The images being learned: how many, where they start, and where they live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hydrometer import students
from hydrometer.artifact.composites import tile
from hydrometer.artifact.container import make
from hydrometer.engine.data import Lens
from hydrometer.methods.budget import bytes_per_image, label_bytes, per_class
from hydrometer.methods.match.sampler import Layout, arrange
from hydrometer.sources.draw import draw_class
from hydrometer.types import Budget, CompressedSet, HydrometerError, Scalar, Source, Spec

FLOAT_BYTES = 4
STARTS = ("real", "noise")
SMALL_SIDE = 16
"""Up to this many pixels a side, methods default to settings for a processor and a narrow student."""
_SMALL_WIDTH = 32


def is_small(source: Source) -> bool:
    """Whether images are so small that methods use their settings for quick runs."""
    return min(source.shape[1:]) <= SMALL_SIDE


@dataclass(frozen=True)
class Matched:
    """The network to match with, and the arguments that name it on a card."""

    spec: Spec
    args: dict[str, Scalar]


def student_for(source: Source, name: str, width: int) -> Matched:
    """A student by name and width; none and zero mean the field's for that size, 32 wide if small.

    Width is an argument of its own, so that it can be left to the size of the images.

    Raises:
        HydrometerError: The student is unknown, or has no width.
    """
    if not name:
        usual = students.default_for(source.shape)
        name = f"{usual.name}-{usual.kwargs['depth']}"
        width = width or (_SMALL_WIDTH if is_small(source) else 0)
    spec = students.spec(name)
    if width:
        spec = students.spec(str(Spec(spec.name, tuple({**spec.kwargs, "width": width}.items()))))
    return Matched(spec, {"student": name, "width": width})


def counts(source: Source, budget: Budget, *, soft: bool = False) -> list[int]:
    """Images of each class for float32 images, with float32 soft labels where asked for.

    As `budget.per_class`, except that bytes buy about a quarter as many images.
    """
    if budget.bytes is None:
        return per_class(source, budget)
    pixels = FLOAT_BYTES * int(np.prod(source.shape))
    classes = len(source.classes)
    label = label_bytes(classes) + (FLOAT_BYTES * classes if soft else 0)
    affordable = budget.bytes // (pixels + label)
    return per_class(source, Budget(bytes=affordable * bytes_per_image(source)))


@dataclass(frozen=True)
class Canvas:
    """Learned images (n, c, h, w), a leaf in the space of students, with their labels (n,) int64."""

    images: Tensor
    labels: Tensor
    lens: Lens

    @property
    def classes(self) -> list[int]:
        """The classes that have images, in order."""
        present: list[int] = torch.unique(self.labels).tolist()
        return present

    def class_labels(self) -> Tensor:
        """The classes that have images (k,), on the device."""
        return torch.tensor(self.classes, device=self.lens.device)

    def layout(self, parts: int = 1) -> Layout:
        """The images arranged by class, or the parts of each, `parts` in a row."""
        labels = self.labels.repeat_interleave(parts)
        return arrange([(labels == c).nonzero().flatten() for c in self.classes])

    def pixels(self) -> Tensor:
        """The images in pixel space, float32 on the CPU, nothing clipped."""
        with torch.no_grad():
            return self.lens.whitening.unwhiten(self.images.detach()).float().cpu()


def begin(
    source: Source,
    lens: Lens,
    wanted: Sequence[int],
    start: str,
    rng: np.random.Generator,
    factor: int = 1,
) -> Canvas:
    """Images to learn, started from random real ones or from standard normal noise.

    With a `factor` each image starts as that many real ones a side, shrunk, of one class.

    Raises:
        HydrometerError: `start` is neither `real` nor `noise`.
    """
    if start not in STARTS:
        raise HydrometerError(f"start={start!r} is unknown; known: {', '.join(STARTS)}")
    parts = factor**2
    rows = torch.cat([_rows(source, c, count, parts, rng) for c, count in enumerate(wanted)])
    labels = source.train.labels[rows[::parts]]
    if start == "real":
        images = lens(tile(source.train.images[rows], factor, filter="area"))
    else:
        shape = (len(labels), *source.shape)
        images = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    return on_canvas(images, labels, lens)


def _rows(source: Source, label: int, count: int, parts: int, rng: np.random.Generator) -> Tensor:
    """Random rows of a class for so many images of `parts` rows each; a small class repeats its own."""
    size = int((source.train.labels == label).sum())
    drawn = draw_class(source, label, max(count, min(count * parts, size)), rng)
    return drawn[torch.arange(count * parts) % max(1, len(drawn))]


def on_canvas(images: Tensor, labels: Tensor, lens: Lens) -> Canvas:
    """A canvas that starts from images (n, c, h, w) in the space of students."""
    leaf = images.detach().to(lens.device, torch.float32).clone().requires_grad_()
    return Canvas(leaf, labels.to(lens.device), lens)


def finish(
    images: Tensor,
    labels: Tensor,
    *,
    source: Source,
    method: str,
    args: dict[str, Scalar],
    budget: Budget,
    seconds: float,
    notes: Sequence[str] = (),
    soft: Tensor | None = None,
    rate: float | None = None,
) -> CompressedSet:
    """The compressed set of learned pixels, its card naming every argument of the method."""
    return make(
        images,
        labels,
        source=source,
        method=str(Spec(method, tuple(sorted(args.items())))),
        budget=str(budget),
        seed=None,
        seconds=seconds,
        soft=soft,
        student_lr=rate,
        notes=notes,
    )
