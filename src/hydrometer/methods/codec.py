"""What a set weighs as its images are stored, and how many images a budget in such bytes buys."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from hydrometer import registry
from hydrometer.artifact.composites import with_rows
from hydrometer.artifact.container import identity
from hydrometer.artifact.raster import bytes_of, loss_note
from hydrometer.methods.budget import label_bytes
from hydrometer.methods.bytes import PAPER_QUALITY, after_jpeg, jpeg_bytes, png_bytes
from hydrometer.types import Budget, CompressedSet, HydrometerError

_NONE_FITS = "no image fits into"

Make = Callable[[Budget], CompressedSet]
"""A method on a source, with the same draws every time."""


@dataclass(frozen=True)
class Codec:
    """How images are stored: `raw` arrays, `png` files, or `jpeg` files of a quality."""

    name: str = "raw"
    quality: int = PAPER_QUALITY

    def __str__(self) -> str:
        return f"jpeg(quality={self.quality})" if self.name == "jpeg" else self.name

    def weigh(self, images: Tensor) -> int:
        """Bytes of images (n, c, h, w), each a file of its own with its headers."""
        if self.name == "raw":
            return images.numel() * images.element_size()
        return jpeg_bytes(images, self.quality) if self.name == "jpeg" else png_bytes(images)

    def opened(self, images: Tensor) -> Tensor:
        """The images as they are after storing: files hold 8 bits, and JPEG loses more."""
        if self.name == "raw":
            return images
        return after_jpeg(images, self.quality) if self.name == "jpeg" else bytes_of(images)


def read(text: str) -> Codec:
    """The codec of a text: `raw`, `png`, `jpeg` or `jpeg(quality=50)`.

    Raises:
        HydrometerError: There is no such codec, or its quality is not 1 to 95.
    """
    spec = registry.parse(text)
    quality = spec.kwargs.get("quality", PAPER_QUALITY)
    wrong = set(spec.kwargs) - ({"quality"} if spec.name == "jpeg" else set())
    if spec.name not in ("raw", "png", "jpeg") or wrong:
        raise HydrometerError(f"codec {text!r} is unknown; known: raw, png, jpeg(quality=75)")
    if not isinstance(quality, int) or not 1 <= quality <= 95:
        raise HydrometerError(f"codec {text!r}: quality={quality} is out of range; give 1 to 95")
    return Codec(spec.name, quality)


def stored(made: CompressedSet, codec: Codec, teacher: int = 0) -> CompressedSet:
    """The set as the codec keeps it, its card counting files, labels and a teacher of `teacher` bytes.

    JPEG changes the images, so the set loses its index; a note of the card lists the rows.
    """
    counted = made.card.bytes.model_copy(
        update={
            "images": codec.weigh(made.images),
            "teacher": made.card.bytes.teacher + teacher,
        }
    )
    card = made.card.model_copy(
        update={
            "bytes": counted,
            "codec": str(codec),
            "notes": (*made.card.notes, *(loss_note(made) if codec.name != "raw" else ())),
        }
    )
    images = codec.opened(made.images)
    changed = replace(made, images=images, card=card)
    if codec.name == "jpeg" and made.index is not None:
        changed = with_rows(changed, made.index[:, None])
    return replace(changed, digest=identity(changed))


def within(make: Make, budget: Budget, codec: Codec, teacher: int = 0) -> CompressedSet:
    """The largest set, image by image, that a budget in stored bytes buys; the next would not fit.

    Where not even one fits, a note of the card says what it would take: see `warnings`.
    Files differ in size, so the number of images is searched for: the method runs a few times, with
    the same draws, and the card is charged for all. Raw images have one size, which methods know.

    Raises:
        HydrometerError: The teacher alone takes more, or the budget buys more than train holds.
    """
    if budget.bytes is None:
        return stored(make(budget), codec, teacher)
    room = budget.bytes - teacher
    if room < 0:
        raise HydrometerError(
            f"budget {budget}: the teacher alone takes {teacher} bytes; raise the budget"
        )
    if codec.name == "raw":
        found = make(Budget(bytes=room))
        return _named(stored(found, codec, teacher), budget, _row_bytes(found) + teacher)
    start = time.perf_counter()
    search = _Search(make, codec, room)
    found = search.largest()
    seconds = max(found.card.seconds, time.perf_counter() - start)
    card = found.card.model_copy(update={"seconds": seconds})
    one = search.typical if len(found) else search.first_image()
    return _named(stored(replace(found, card=card), codec, teacher), budget, one + teacher)


def warnings(made: CompressedSet) -> list[str]:
    """What a user should know who asked for some images and got none."""
    return [note for note in made.card.notes if note.startswith(_NONE_FITS)]


def _named(made: CompressedSet, budget: Budget, one: int) -> CompressedSet:
    """The set with its budget on the card, and with what one image takes where none fits."""
    notes = made.card.notes
    if budget.bytes and not len(made):
        notes = (*notes, f"{_NONE_FITS} {budget}: a set of one takes {one} bytes")
    return replace(made, card=made.card.model_copy(update={"budget": str(budget), "notes": notes}))


def _row_bytes(made: CompressedSet) -> int:
    """Bytes of one image of a set, raw, with its label, soft label and weight."""
    parts = [t for t in (made.images, made.soft, made.weights) if t is not None]
    return label_bytes(len(made.card.classes)) + sum(
        math.prod(part.shape[1:]) * part.element_size() for part in parts
    )


class _Search:
    """Sets of n images by number, made when asked for, and what they weigh."""

    def __init__(self, make: Make, codec: Codec, room: int) -> None:
        self.make, self.codec, self.room = make, codec, room
        first = make(Budget(per_class=1))
        self.unit = first.card.bytes.total // len(first)
        self.typical = max(1, self._weight(first) // len(first))
        self.made: dict[int, CompressedSet] = {}
        self.refused: dict[int, HydrometerError] = {}

    def largest(self) -> CompressedSet:
        """The set of n images that fits where one of n + 1 does not."""
        low, high = -1, 0
        guess = self.room // self.typical
        # From a guess outwards in growing steps, then halving what is between.
        if self._fits(guess):
            low, step = guess, 1
            while self._fits(low + step):
                low, step = low + step, 2 * step
            high = low + step
        else:
            high, step = guess, 1
            while high > step and not self._fits(high - step):
                high, step = high - step, 2 * step
            low = max(0, high - step)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(middle) else (low, middle)
        if high in self.refused:
            raise HydrometerError(
                f"{self.room} bytes buy {high} images or more as {self.codec}: {self.refused[high]}"
            )
        return self._set(low)

    def first_image(self) -> int:
        """Bytes of a set of one image."""
        return self._weight(self._set(1))

    def _fits(self, count: int) -> bool:
        try:
            return self._weight(self._set(count)) <= self.room
        except HydrometerError as error:
            # More than train holds: too many, and the user's mistake if fewer would be too few.
            self.refused[count] = error
            return False

    def _set(self, count: int) -> CompressedSet:
        if count not in self.made:
            self.made[count] = self.make(Budget(bytes=count * self.unit))
        return self.made[count]

    def _weight(self, made: CompressedSet) -> int:
        return self.codec.weigh(made.images) + made.card.bytes.labels
