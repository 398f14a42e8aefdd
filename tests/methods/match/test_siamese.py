"""One view for real and synthetic images, made where the images are."""

import numpy as np
import torch

import tiny
from hydrometer.methods.match.siamese import Views


def test_draws_are_replayed_on_every_image_of_a_group():
    views = Views(True, np.random.default_rng(0), tiny.CPU)
    draws = views.draw(4)
    one = torch.rand(4, 1, 3, 8, 8)
    many = views(one.expand(4, 5, 3, 8, 8), draws)
    torch.testing.assert_close(many, views(one, draws).expand_as(many))
    again = views(one, views.draw(4))
    assert not torch.equal(again, views(one, draws))


def test_the_operation_is_read_on_the_host():
    """Images without data stand for those of an accelerator, of which reading would wait."""
    views = Views(True, np.random.default_rng(0), torch.device("meta"))
    images = torch.empty(4, 5, 3, 8, 8, device="meta")
    for _ in range(5):
        assert views(images, views.draw(4)).shape == images.shape
