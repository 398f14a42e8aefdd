"""A source small enough to train on in a test, and learnable."""

from __future__ import annotations

import torch

from hydrometer import digest
from hydrometer.types import Source, Split


def bars(
    classes: int = 3, per_class: int = 20, size: int = 8, channels: int = 1, seed: int = 0
) -> Source:
    """Images (n, channels, size, size) with a bright bar in a place of its class, under noise."""
    generator = torch.Generator().manual_seed(seed)

    def split(count: int, first: int) -> Split:
        labels = torch.arange(classes).repeat_interleave(count)
        images = torch.randint(0, 90, (len(labels), channels, size, size), generator=generator)
        for row, label in enumerate(labels.tolist()):
            images[row, :, label * size // classes : label * size // classes + 2] += 120
        return Split(images.to(torch.uint8), labels, torch.arange(first, first + len(labels)))

    train, val, test = split(per_class, 0), split(6, 10_000), split(10, 0)
    parts = [x for s in (train, val, test) for x in (s.images, s.labels)]
    return Source(
        "tiny",
        train,
        val,
        test,
        tuple(f"bar {c}" for c in range(classes)),
        (0.3,) * channels,
        (0.2,) * channels,
        digest.of_tensors(*parts),
        "made up",
    )
