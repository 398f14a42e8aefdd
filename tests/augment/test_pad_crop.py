import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from hydrometer.augment.pad_crop import PadCrop


@pytest.mark.parametrize("padding", [0, 1, 4, 10])
def test_pad_crop_cuts_windows_of_the_padded_image(padding, draws):
    images, u = draws(3, 1, 30, 3, 8, 8), draws(4, 1, 30, 2)
    cropped = PadCrop(padding)(images, u).images
    padded = F.pad(images, [padding] * 4)
    for b in range(30):
        top, left = (int(v) for v in (u[0, b].double() * (2 * padding + 1)).floor())
        assert torch.equal(cropped[0, b], padded[0, b, :, top : top + 8, left : left + 8])


def test_pad_crop_offsets_are_uniform(draws):
    spot = torch.zeros(1, 5000, 1, 9, 9)
    spot[..., 4, 4] = 1
    cropped = PadCrop(padding=4)(spot, draws(5, 1, 5000, 2)).images
    for axis in (-1, -2):
        counts = cropped.sum(dim=axis).flatten(0, 2).argmax(-1).bincount(minlength=9)
        assert len(counts) == 9
        assert stats.chisquare(counts.numpy()).pvalue > 1e-3
