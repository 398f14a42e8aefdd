import itertools

import pytest
import torch

from hydrometer.augment.cutout import Cutout


@pytest.mark.parametrize(("size", "side"), [(8, 0.5), (9, 0.3), (32, 0.5), (8, 1.0)])
def test_cutout_agrees_with_a_loop(size, side, draws):
    images, u = draws(6, 1, 30, 3, size, size) + 1, draws(7, 1, 30, 2)
    cut = Cutout(side)(images, u).images
    length = int(size * side + 0.5)
    for b in range(30):
        expected = images[0, b].clone()
        y, x = (int(v * (size + (length % 2 == 0))) - length // 2 for v in u[0, b].tolist())
        for row, column in itertools.product(range(y, y + length), range(x, x + length)):
            if 0 <= row < size and 0 <= column < size:
                expected[:, row, column] = 0
        assert torch.equal(cut[0, b], expected)
