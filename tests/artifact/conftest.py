from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from hydrometer.types import Source, Split

CLASSES = ("plane", "car", "bird")


def split(rows: list[int], shape: tuple[int, int, int], seed: int) -> Split:
    rng = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (len(rows), *shape), generator=rng, dtype=torch.uint8)
    return Split(images, torch.tensor([r % 3 for r in rows]), torch.tensor(rows))


@pytest.fixture
def make_source() -> Callable[..., Source]:
    """Sources of 12 original rows, every fourth one (0, 4, 8) in `val`."""

    def build(
        classes: tuple[str, ...] = CLASSES, shape: tuple[int, int, int] = (3, 8, 6)
    ) -> Source:
        return Source(
            name="tiny",
            train=split([r for r in range(12) if r % 4], shape, 1),
            val=split([0, 4, 8], shape, 2),
            test=split([0, 1, 2], shape, 3),
            classes=classes,
            mean=(0.5,) * shape[0],
            std=(0.2,) * shape[0],
            digest="d" * 20,
            val_rule="every fourth row",
        )

    return build


@pytest.fixture
def source(make_source: Callable[..., Source]) -> Source:
    return make_source()


@dataclass(frozen=True)
class Affine:
    """A stand-in for a fitted whitening: per-channel mean and standard deviation."""

    mean: Tensor
    std: Tensor

    def whiten(self, x: Tensor) -> Tensor:
        return (x - self.mean[:, None, None]) / self.std[:, None, None]

    def unwhiten(self, x: Tensor) -> Tensor:
        return x * self.std[:, None, None] + self.mean[:, None, None]


@pytest.fixture
def affine() -> Affine:
    return Affine(torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2023, 0.1994, 0.2010]))


@pytest.fixture
def floats() -> Tensor:
    """Five float images well inside [0, 1]."""
    return torch.rand(5, 3, 8, 6, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def bytes_() -> Tensor:
    """Five uint8 images."""
    rng = torch.Generator().manual_seed(6)
    return torch.randint(0, 256, (5, 3, 8, 6), generator=rng, dtype=torch.uint8)


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([2, 0, 1, 0, 2])


@pytest.fixture
def compressed(source, bytes_, labels):
    from hydrometer.artifact.container import make

    return make(
        bytes_,
        labels,
        source=source,
        method="random",
        budget="ipc=2",
        seed=3,
        seconds=1.5,
        soft=torch.arange(15.0).view(5, 3),
        weights=torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0]),
        index=torch.tensor([2, 3, 1, 6, 5]),
        student_lr=0.02,
        notes=("a note",),
        teacher_bytes=7,
    )
