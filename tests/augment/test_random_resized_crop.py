import itertools

import torch
from torch.testing import assert_close
from torchvision.transforms.v2 import functional as vision

from hydrometer.augment.geometry import CROP_DRAWS, crops
from hydrometer.augment.random_resized_crop import RandomResizedCrop


def test_random_resized_crop_shows_its_boxes(draws):
    images, u = draws(8, 2, 15, 3, 28, 28), draws(9, 2, 15, CROP_DRAWS)
    views = RandomResizedCrop(scale_min=0.2, ratio_min=0.5, ratio_max=2.0)(images, u).images
    boxes = crops(u, (0.2, 1.0), (0.5, 2.0), 28, 28)
    for k, b in itertools.product(range(2), range(15)):
        box = [int(s[k, b]) for s in (boxes.top, boxes.left, boxes.height, boxes.width)]
        expected = vision.resized_crop(images[k, b], *box, size=[28, 28], antialias=True)
        assert_close(views[k, b], expected, rtol=0, atol=2e-5)


def test_random_resized_crop_of_everything_is_the_image(draws):
    images = draws(10, 1, 10, 3, 32, 32)
    views = RandomResizedCrop(scale_min=1.0)(images, draws(11, 1, 10, CROP_DRAWS)).images
    assert torch.equal(views, images)
