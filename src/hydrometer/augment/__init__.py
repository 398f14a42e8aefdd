"""Augmentation and whitening: new views of images, and the space a student sees them in.

An augmentation is a pure function of images and of uniform numbers handed to it, for a whole cohort
of students at once. It sees images that are already normalised, so zero is the mean and pads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hydrometer import registry
from hydrometer.types import HydrometerError, Spec

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Augmented:
    """What an augmentation returns, for k students with batches of b.

    A sample whose image was mixed carries `share` of its own label and `1 - share` of the label of
    row `partner` of the same student's batch.
    """

    images: Tensor
    """(k, b, c, h, w), of the type of the images that came in."""
    partner: Tensor | None = None
    """(k, b) int64, or None where images were not mixed."""
    share: Tensor | None = None
    """(k, b) float32 in [0, 1], or None where images were not mixed."""


class Augmentation(Protocol):
    """A new view of every image; a student's result depends on its own images and draws alone."""

    @property
    def draws(self) -> int:
        """Uniform numbers in [0, 1) consumed per sample and step."""

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with a partner's, so that labels must be too."""

    def __call__(self, images: Tensor, u: Tensor) -> Augmented:
        """The new views of `images` (k, b, c, h, w) that `u` (k, b, draws) float32 asks for."""


@runtime_checkable
class Cycling(Augmentation, Protocol):
    """An augmentation whose first draw takes evenly spaced values, each once in `cycle` epochs.

    The engine replaces that draw, because it alone knows the image and the epoch behind a sample.
    """

    @property
    def cycle(self) -> int:
        """Epochs of a cycle; 1 leaves the draw as it is."""


@runtime_checkable
class Choosing(Augmentation, Protocol):
    """An augmentation that does with a whole batch what its first sample's draws say.

    The host must know them to choose. It is told, because reading them from an accelerator would wait
    for all work before them.
    """

    def told(self, images: Tensor, u: Tensor, first: Tensor) -> Augmented:
        """As `__call__`, where `first` (k, draws) on the host is `u[:, 0]`."""


@dataclass(frozen=True)
class Turn:
    """Which draw of a sample goes through a cycle, and through how many values."""

    draw: int
    length: int


class Whitening(Protocol):
    """A fitted, invertible map from pixel space, with 1.0 for white, to the space of students."""

    def whiten(self, images: Tensor) -> Tensor:
        """Images (..., c, h, w), uint8 or float in pixel space, as a student sees them."""

    def unwhiten(self, images: Tensor) -> Tensor:
        """The float images in pixel space that `whiten` maps to these; nothing is clipped."""


class Whitener(Protocol):
    """A rule that fits a `Whitening` to a source."""

    def fit(self, images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Whitening:
        """Fit to `images` (n, c, h, w), uint8 or float in pixel space, or to channel statistics."""


class Pipeline:
    """Augmentations applied in order, each with its own slice of the draws; itself an augmentation.

    Args:
        specs: the members, built through the registry; none at all leaves images as they are.

    Raises:
        HydrometerError: when a member is unknown, or more than one member mixes images.
    """

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.members: tuple[Augmentation, ...] = tuple(
            registry.build("augmentation", spec) for spec in specs
        )
        mixing = [str(s) for s, m in zip(specs, self.members, strict=True) if m.mixes]
        if len(mixing) > 1:
            raise HydrometerError(
                f"augment: {' and '.join(mixing)} mix images more than once; keep one of them"
            )
        self.mixes = bool(mixing)
        starts = [0, *accumulate(member.draws for member in self.members)]
        self.draws = starts[-1]
        self.turns = tuple(
            Turn(start, member.cycle)
            for start, member in zip(starts, self.members, strict=False)
            if isinstance(member, Cycling) and member.cycle > 1
        )
        self.chooses = any(isinstance(member, Choosing) for member in self.members)

    def __call__(self, images: Tensor, u: Tensor, first: Tensor | None = None) -> Augmented:
        """The images after the last member, with the partner and share of the one that mixed.

        `first` (k, draws) are `u[:, 0]` on the host; members that choose read them from `u` without.
        """
        done, used = Augmented(images), 0
        for member in self.members:
            own = slice(used, used + member.draws)
            if first is not None and isinstance(member, Choosing):
                new = member.told(done.images, u[..., own], first[:, own])
            else:
                new = member(done.images, u[..., own])
            used += member.draws
            done = new if member.mixes else Augmented(new.images, done.partner, done.share)
        return done
