import pytest
import torch
from scipy import stats
from torch.testing import assert_close
from torchvision.transforms.v2 import functional as vision

from hydrometer.augment.tile_crop import TileCrop
from hydrometer.types import HydrometerError


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_tile_crop_shows_one_tile_and_all_tiles_equally_often(factor, draws):
    tile = torch.arange(factor**2).view(factor, factor).float()
    images = tile.repeat_interleave(16 // factor, 0).repeat_interleave(16 // factor, 1)
    views = TileCrop(factor)(images.expand(1, 1600, 1, 16, 16), draws(12, 1, 1600, 23)).images[0]
    shown = views.flatten(1).round()
    assert (shown == shown[:, :1]).all()
    assert_close(views.flatten(1), shown, rtol=0, atol=1e-4)
    counts = shown[:, 0].long().bincount(minlength=factor**2).numpy()
    assert factor == 1 or stats.chisquare(counts).pvalue > 1e-3


def test_tile_crop_resizes_boxes_inside_the_tile(draws):
    images, u = draws(13, 1, 20, 3, 32, 32), draws(14, 1, 20, 23)
    augmentation = TileCrop(factor=2, scale_min=0.3, scale_max=0.6)
    views, boxes = augmentation(images, u).images, augmentation.boxes(u[0], 32, 32)
    for b in range(20):
        box = [int(s[b]) for s in (boxes.top, boxes.left, boxes.height, boxes.width)]
        expected = vision.resized_crop(images[0, b], *box, size=[32, 32], antialias=True)
        assert_close(views[0, b], expected, rtol=0, atol=2e-5)
    share = boxes.area(32, 32) / 16**2
    assert ((share > 0.25) & (share < 0.65)).all()


def test_tiles_must_divide_the_image():
    augmentation = TileCrop(3)
    with pytest.raises(HydrometerError, match="factor=3 does not divide images of 8 x 8"):
        augmentation(torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 2, augmentation.draws))
