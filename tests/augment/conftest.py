import math

import pytest
import torch

from hydrometer import seeds


@pytest.fixture
def draws():
    """Uniform numbers of a shape, from a seed."""

    def drawn(seed, *shape):
        return seeds.uniform([seed], 0, 1, math.prod(shape)).view(*shape)

    return drawn


@pytest.fixture(scope="session")
def pixels():
    """Smooth uint8 images: neighbouring pixels and channels are correlated."""

    def smooth(n=300, c=3, size=6):
        noise = seeds.uniform([n], 0, 1, n * c * size * size).view(n, c, size, size)
        waves = noise.cumsum(-1).cumsum(-2) / (2 * size) + noise.mean(dim=1, keepdim=True)
        return (waves / waves.max() * 255).round().to(torch.uint8)

    return smooth
