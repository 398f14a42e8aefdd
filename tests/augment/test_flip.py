import itertools

import torch
from torchvision.transforms.v2 import functional as vision

from hydrometer.augment.flip import Flip


def test_flip_mirrors_what_falls_below_prob(draws):
    images, u = draws(1, 2, 40, 3, 8, 8), draws(2, 2, 40, 1)
    flipped = Flip(prob=0.3)(images, u).images
    for k, b in itertools.product(range(2), range(40)):
        expected = vision.horizontal_flip(images[k, b]) if u[k, b, 0] < 0.3 else images[k, b]
        assert torch.equal(flipped[k, b], expected)
    assert torch.equal(Flip(prob=0)(images, u).images, images)
    assert torch.equal(Flip(prob=1)(images, u).images, images.flip(-1))
