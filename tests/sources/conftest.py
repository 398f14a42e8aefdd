from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hydrometer.sources.parts import Part, Parts

MakeFolder = Callable[..., Path]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache of the test's own."""
    path = tmp_path / "cache"
    monkeypatch.setenv("HYDROMETER_CACHE", str(path))
    return path


@pytest.fixture
def make_image() -> Callable[..., None]:
    """Write a random image; the seed is its path, so that no two are alike."""

    def make(path: Path, size: tuple[int, int] = (6, 4), mode: str = "RGB") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(list(str(path.name).encode()))
        channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
        pixels = rng.integers(0, 256, (size[1], size[0], *channels), dtype=np.uint8)
        Image.fromarray(pixels).save(path)

    return make


@pytest.fixture
def make_folder(tmp_path, make_image) -> MakeFolder:
    """Lay out `train/` and a test folder with two classes of images."""

    def make(name: str = "pets", test: str = "test", train: int = 12, mode: str = "RGB") -> Path:
        root = tmp_path / name
        for label in ("cat", "dog"):
            for i in range(train):
                make_image(root / "train" / label / f"{label}{i:02}.png", mode=mode)
            for i in range(3):
                make_image(root / test / label / f"{label}t{i}.png", mode=mode)
        return root

    return make


@pytest.fixture
def make_parts() -> Callable[..., Parts]:
    """Random parts of three classes, in batches of uneven length."""

    def make(train: int = 90, test: int = 20, shape=(3, 4, 5), **fields) -> Parts:
        rng = torch.Generator().manual_seed(0)

        def part(count: int) -> Part:
            images = torch.randint(0, 256, (count, *shape), generator=rng).to(torch.uint8)
            return Part(torch.arange(count) % 3, images.split(7))

        return Parts(
            part(train), part(test), fields.pop("classes", ("a", "b", "c")), shape, **fields
        )

    return make
