import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from hydrometer.augment.patch_shuffle import PatchShuffle
from hydrometer.types import HydrometerError


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_patch_shuffle_agrees_with_a_loop(factor, draws):
    images, u = draws(15, 2, 5, 3, 8, 8), draws(16, 2, 5, factor**2)
    shuffled, side = PatchShuffle(factor)(images, u).images, 8 // factor
    for k, b in itertools.product(range(2), range(5)):
        order = np.argsort(u[k, b].numpy())
        for place, tile in enumerate(order):
            (y, x), (row, column) = (np.array(divmod(i, factor)) * side for i in (place, tile))
            moved = images[k, b, :, row : row + side, column : column + side]
            assert torch.equal(shuffled[k, b, :, y : y + side, x : x + side], moved)


@pytest.mark.parametrize(("strips", "orders"), [(False, 24), (True, 4)])
def test_patch_shuffle_draws_every_order_equally_often(strips, orders, draws):
    augmentation = PatchShuffle(factor=2, strips=strips)
    images = torch.arange(4.0).view(2, 2).expand(1, 4800, 1, 2, 2)
    shuffled = augmentation(images, draws(17, 1, 4800, augmentation.draws)).images[0].flatten(1)
    found, counts = shuffled.unique(dim=0, return_counts=True)
    assert len(found) == orders
    assert torch.equal(found.sort().values, torch.arange(4.0).expand(orders, 4))
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    if strips:
        assert torch.equal(found[:, 0] + found[:, 3], found[:, 1] + found[:, 2])


def test_patches_must_divide_the_image():
    augmentation = PatchShuffle(3)
    with pytest.raises(HydrometerError, match="factor=3 does not divide images of 8 x 8"):
        augmentation(torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 2, augmentation.draws))
