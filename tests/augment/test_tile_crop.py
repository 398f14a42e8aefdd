import pytest
import torch
from scipy import stats
from torch.testing import assert_close
from torchvision.transforms.v2 import functional as vision

from hydrometer.artifact.composites import tile
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


@pytest.mark.parametrize(("factor", "h", "w"), [(3, 32, 32), (3, 17, 10), (5, 28, 32), (2, 9, 8)])
def test_tiles_of_any_number_are_those_of_composites(factor, h, w, draws):
    sources = torch.arange(factor**2, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, h, w)
    composite = tile(sources.contiguous(), factor).float()
    views = TileCrop(factor)(composite.expand(1, 2000, 1, h, w), draws(15, 1, 2000, 23)).images[0]
    shown = views.flatten(1)
    assert_close(shown, shown[:, :1].expand_as(shown).round(), rtol=0, atol=1e-4)
    counts = shown[:, 0].round().long().bincount(minlength=factor**2).numpy()
    assert stats.chisquare(counts).pvalue > 1e-3


def test_crops_reach_the_borders_of_larger_tiles_and_never_cross_them(draws):
    boxes = TileCrop(3).boxes(draws(16, 4000, 23), 32, 33)
    for start, length, edges in (
        (boxes.top, boxes.height, [0, 11, 22, 32]),
        (boxes.left, boxes.width, [0, 11, 22, 33]),
    ):
        borders = torch.tensor(edges)
        tile = torch.bucketize(start, borders[1:], right=True)
        assert (start + length <= borders[tile + 1]).all()
        assert {*(start + length).tolist()} >= {*edges[1:]}
        assert {*start.tolist()} >= {*edges[:-1]}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"tile": "spiral"}, "known: uniform, cycle"),
        ({"factor": 0}, "factor=0"),
        ({"factor": 9}, "factor=9 tiles a side do not fit into 8 x 8"),
        ({"scale_min": 0.0}, "no range of areas"),
    ],
)
def test_mistakes_are_named(args, said):
    with pytest.raises(HydrometerError, match=said):
        TileCrop(**args)(torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 2, TileCrop.draws))
