"""How many images of each class a budget buys."""

from __future__ import annotations

import numpy as np

from hydrometer.types import Budget, HydrometerError, Source


def per_class(source: Source, budget: Budget, extra: int = 0) -> list[int]:
    """Images of each class for uint8 images with hard labels, and `extra` bytes beside each.

    Images per class are taken as given; a fraction is of each class's size, rounded so that the total
    is exact (largest remainders first); bytes buy whole images, spread evenly, first classes first.
    """
    sizes = np.bincount(source.train.labels.numpy(), minlength=len(source.classes))
    if budget.per_class is not None:
        wanted = np.full(len(sizes), budget.per_class)
    elif budget.fraction is not None:
        wanted = _shares(sizes * budget.fraction, round(int(sizes.sum()) * budget.fraction))
    else:
        wanted = _even(len(sizes), (budget.bytes or 0) // (bytes_per_image(source) + extra))
    for label, (want, size) in enumerate(zip(wanted, sizes, strict=True)):
        if want > size:
            raise HydrometerError(
                f"budget {budget} asks for {want} images of class {source.classes[label]!r}, "
                f"but train holds {size}; lower the budget"
            )
    return [int(w) for w in wanted]


def refuse_none(source: Source, budget: Budget) -> None:
    """Refuse a share of a source that is no image; of bytes only the method knows what they buy.

    Raises:
        HydrometerError: The fraction is of less than half an image.
    """
    if budget.fraction is not None and not sum(per_class(source, budget)):
        raise HydrometerError(
            f"budget {budget} is no image of the {len(source.train)} in train; raise the budget"
        )


def bytes_per_image(source: Source) -> int:
    """Bytes of one uint8 image with its hard label."""
    c, h, w = source.shape
    return c * h * w + label_bytes(len(source.classes))


def label_bytes(classes: int) -> int:
    """Bytes of one hard label as `artifact.make` counts it: one up to 256 classes, two beyond."""
    return 1 if classes <= 256 else 2


def _shares(exact: np.ndarray, total: int) -> np.ndarray:
    floor: np.ndarray = np.floor(exact).astype(int)
    order = np.argsort(-(exact - floor), kind="stable")
    floor[order[: total - floor.sum()]] += 1
    return floor


def _even(classes: int, total: int) -> np.ndarray:
    return np.array([total // classes + (c < total % classes) for c in range(classes)])
