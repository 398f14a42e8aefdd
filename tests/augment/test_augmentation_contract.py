"""What every registered augmentation must do, built-in or not, with its default arguments."""

import pytest
import torch
from torch.testing import assert_close

from hydrometer import registry, seeds
from hydrometer.augment import Pipeline
from hydrometer.types import Spec

EVERY = pytest.mark.parametrize("name", registry.names("augmentation"))


def cohort(name, k=6, b=5, c=3, size=8, dtype=torch.float32):
    """An augmentation, images and draws for k students, the first six under six DSA operations."""
    augmentation = registry.build("augmentation", Spec(name))
    keys = [seeds.key(student, "augment") for student in range(k)]
    images = seeds.uniform(keys, 0, 1, b * c * size * size).view(k, b, c, size, size) - 0.5
    u = seeds.uniform(keys, 1, 1, b * augmentation.draws).view(k, b, augmentation.draws)
    if k == 6:
        u[:, 0, 0] = (torch.arange(6) + 0.5) / 6
    return augmentation, images.to(dtype), u


@EVERY
def test_a_student_is_the_same_alone_and_in_a_cohort(name):
    augmentation, images, u = cohort(name)
    together = augmentation(images, u)
    for k in range(len(images)):
        alone = augmentation(images[k : k + 1], u[k : k + 1])
        assert_close(together.images[k], alone.images[0], rtol=0, atol=1e-6)
        if augmentation.mixes:
            assert torch.equal(together.partner[k], alone.partner[0])
            assert torch.equal(together.share[k], alone.share[0])


@EVERY
def test_the_result_is_a_pure_function_of_images_and_draws(name):
    augmentation, images, u = cohort(name)
    kept, state = (images.clone(), u.clone()), torch.get_rng_state()
    first, second = augmentation(images, u), augmentation(images, u)
    assert torch.equal(first.images, second.images)
    assert torch.equal(images, kept[0])
    assert torch.equal(u, kept[1])
    assert torch.equal(torch.get_rng_state(), state)


@EVERY
def test_the_draws_decide(name):
    augmentation, images, u = cohort(name)
    other = seeds.uniform([99], 0, 1, u.numel()).view(u.shape)
    assert not torch.equal(augmentation(images, u).images, augmentation(images, other).images)


@EVERY
@pytest.mark.parametrize("size", [8, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_finite_values(name, size, channels):
    augmentation, images, u = cohort(name, k=2, b=3, c=channels, size=size)
    result = augmentation(images, u)
    assert result.images.shape == images.shape
    assert result.images.isfinite().all()


@EVERY
@pytest.mark.parametrize(("dtype", "near"), [(torch.bfloat16, 0.02), (torch.float64, 1e-5)])
def test_other_precisions_see_the_same_views(name, dtype, near):
    augmentation, images, u = cohort(name, dtype=dtype)
    result = augmentation(images, u).images
    assert result.dtype == dtype
    assert_close(result.float(), augmentation(images.float(), u).images, rtol=0, atol=near)


@EVERY
def test_gradients_reach_the_images(name):
    augmentation, images, u = cohort(name, b=2, c=2, size=4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: augmentation(x, u).images, images.requires_grad_())


@EVERY
def test_gradients_are_nowhere_lost(name):
    augmentation, images, u = cohort(name)
    images.requires_grad_()
    (slope,) = torch.autograd.grad(augmentation(images, u).images.square().sum(), images)
    assert (slope.flatten(1) != 0).any(dim=1).all()


@EVERY
def test_extreme_draws_stay_inside(name):
    augmentation, images, u = cohort(name, k=1)
    for extreme in (0.0, 1 - 2.0**-24):
        assert augmentation(images, torch.full_like(u, extreme)).images.isfinite().all()


@EVERY
def test_labels_are_mixed_exactly_where_images_are(name):
    augmentation, images, u = cohort(name)
    result = augmentation(images, u)
    if not augmentation.mixes:
        assert result.partner is None
        assert result.share is None
        return
    assert result.partner.dtype == torch.int64
    assert torch.equal(result.partner.sort().values, torch.arange(5).expand(6, 5))
    assert result.share.shape == (6, 5)
    assert result.share.dtype == torch.float32
    assert ((result.share >= 0) & (result.share <= 1)).all()


@EVERY
def test_a_batch_of_one_is_its_own_partner(name):
    augmentation, images, u = cohort(name, k=2, b=1)
    result = augmentation(images, u)
    if augmentation.mixes:
        assert_close(result.images, images)
        assert torch.equal(result.partner, torch.zeros(2, 1, dtype=torch.int64))


@EVERY
def test_nothing_is_read_from_the_device(name):
    """Tensors without data stand for those of an accelerator: reading them fails, and there waits."""
    augmentation, images, u = cohort(name)
    chain = Pipeline((Spec(name),))
    there = chain(images.to("meta"), u.to("meta"), u[:, 0])
    assert there.images.device.type == "meta" and there.images.shape == images.shape
    assert torch.equal(chain(images, u, u[:, 0]).images, augmentation(images, u).images)
