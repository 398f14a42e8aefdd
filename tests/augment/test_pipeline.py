import pytest
import torch

from hydrometer import seeds
from hydrometer.augment import Pipeline
from hydrometer.augment.cutmix import CutMix
from hydrometer.augment.flip import Flip
from hydrometer.augment.pad_crop import PadCrop
from hydrometer.registry import parse
from hydrometer.types import HydrometerError

IMAGES = seeds.uniform([7], 0, 1, 2 * 4 * 3 * 8 * 8).view(2, 4, 3, 8, 8)


def pipeline(*texts):
    return Pipeline(tuple(parse(text) for text in texts))


def test_members_run_in_order_on_their_own_draws():
    chain = pipeline("pad-crop(padding=2)", "cutmix", "flip(prob=0.3)")
    assert (chain.draws, chain.mixes) == (2 + 4 + 1, True)
    u = seeds.uniform([1], 0, 1, 2 * 4 * 7).view(2, 4, 7)
    result = chain(IMAGES, u)
    mixed = CutMix()(PadCrop(2)(IMAGES, u[..., :2]).images, u[..., 2:6])
    assert torch.equal(result.images, Flip(0.3)(mixed.images, u[..., 6:]).images)
    assert torch.equal(result.partner, mixed.partner)
    assert torch.equal(result.share, mixed.share)


def test_members_that_choose_are_told_their_own_draws():
    chain = pipeline("flip", "pad-crop(padding=2)", "dsa")
    for seed in range(12):
        u = seeds.uniform([seed], 0, 1, 2 * 4 * chain.draws).view(2, 4, chain.draws)
        assert torch.equal(chain(IMAGES, u, u[:, 0]).images, chain(IMAGES, u).images)


def test_an_empty_pipeline_changes_nothing():
    chain = pipeline()
    assert (chain.draws, chain.mixes) == (0, False)
    result = chain(IMAGES, torch.empty(2, 4, 0))
    assert torch.equal(result.images, IMAGES)
    assert result.partner is None


def test_images_are_mixed_at_most_once():
    with pytest.raises(HydrometerError, match=r"cutmix and mixup\(alpha=0.2\) mix"):
        pipeline("cutmix", "flip", "mixup(alpha=0.2)")


def test_an_unknown_member_is_an_error_that_offers_the_nearest():
    with pytest.raises(HydrometerError, match="cutmix"):
        pipeline("cutmx")


@pytest.mark.parametrize(
    "text",
    [
        "flip(prob=1.5)",
        "pad-crop(padding=-1)",
        "cutout(size=2.0)",
        "random-resized-crop(scale_min=0.0)",
        "random-resized-crop(ratio_min=2.0,ratio_max=1.0)",
        "tile-crop(factor=0)",
        "tile-crop(scale_min=0.5,scale_max=0.4)",
        "patch-shuffle(factor=0)",
        "cutmix(alpha=0.0)",
        "mixup(alpha=-1.0)",
        "dsa(scale=0.5)",
        "dsa(rotate=-1.0)",
        "dsa(flip=2)",
    ],
)
def test_arguments_out_of_range_are_named(text):
    spec = parse(text)
    with pytest.raises(HydrometerError, match=f"{spec.name}: .*{spec.args[-1][0]}="):
        Pipeline((spec,))
