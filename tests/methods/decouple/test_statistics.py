import pytest
import torch
from torch import nn

from hydrometer.methods.decouple.statistics import (
    Matcher,
    batch_norms,
    convolutions,
    moments_of_classes,
    watched,
    with_classes,
)
from hydrometer.types import HydrometerError


def network():
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3))
    torch.random.set_rng_state(torch_state)
    return made.eval().requires_grad_(False)


IMAGES = torch.rand(7, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_a_matched_batch_is_at_distance_zero_and_another_is_not():
    model = network()
    inputs = model[0](IMAGES)
    model[1].running_mean = inputs.mean((0, 2, 3)).detach()
    model[1].running_var = inputs.var((0, 2, 3), unbiased=False).detach()
    layers = batch_norms(model)
    distance = Matcher(layers, 10.0, 1.0, 0.0)
    assert float(distance([inputs])) == pytest.approx(0, abs=1e-5)
    wanted = 10 * torch.full((3,), 2.0).norm()
    assert float(distance([inputs + 2])) == pytest.approx(float(wanted), rel=1e-4)


def test_the_moments_before_convolutions_are_those_of_all_batches_together():
    model = network()
    [layer] = convolutions(model, IMAGES.split(3))
    inputs = model[:3](IMAGES)
    assert torch.allclose(layer.target[0], inputs.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(layer.target[1], inputs.var((0, 2, 3), unbiased=False), atol=1e-6)


def test_memory_is_an_average_whose_gradient_is_the_present_batch():
    model = network()
    matcher = Matcher(batch_norms(model), 1.0, 0.0, 0.75)
    first, second = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4).requires_grad_(True)
    assert float(matcher([first])) == 0
    distance = matcher([second])
    assert distance.detach().item() == pytest.approx(0.25 * 3**0.5)
    distance.backward()
    assert float(second.grad.sum()) == pytest.approx(3**0.5)


LABELS = torch.tensor([0, 2, 0, 2, 2, 0, 0])


def test_moments_of_classes_are_those_of_their_images_alone():
    """Against torch's own mean and variance of each class, whatever the batches."""
    model = network()
    batches = zip(IMAGES.split(3), LABELS.split(3), strict=True)
    [layer] = with_classes(model, batch_norms(model), batches, 3)
    inputs = model[0](IMAGES).detach()
    onehot = torch.nn.functional.one_hot(LABELS, 3).float()
    for label in (0, 2):
        own = inputs[label == LABELS]
        wanted = own.mean((0, 2, 3)), own.var((0, 2, 3), unbiased=False)
        for found in (layer.classes, moments_of_classes(inputs, onehot)):
            torch.testing.assert_close(found[0][label], wanted[0], rtol=1e-4, atol=1e-6)
            torch.testing.assert_close(found[1][label], wanted[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_matching_by_class_is_a_mean_over_images_of_the_distances_of_their_classes(share):
    model = network()
    batches = zip(IMAGES.split(3), LABELS.split(3), strict=True)
    [layer] = with_classes(model, batch_norms(model), batches, 3)
    inputs = model[0](IMAGES).detach()
    matcher = Matcher([layer], 1.0, 1.0, 0.0, share, LABELS)
    whole = Matcher([layer], 1.0, 1.0, 0.0)([inputs])
    assert float(matcher([inputs])) == pytest.approx((1 - share) * float(whole), abs=1e-5)
    moved = inputs + 2 * (LABELS == 2)[:, None, None, None]
    own = 3 / 7 * 2 * 3**0.5
    rest = (1 - share) * float(Matcher([layer], 1.0, 1.0, 0.0)([moved]))
    assert float(matcher([moved])) == pytest.approx(share * own + rest, rel=1e-4)


def test_hooks_are_gone_afterwards():
    model = network()
    with watched([model[1]]) as seen:
        model(IMAGES)
    assert torch.equal(seen()[0], model[0](IMAGES))
    assert not model[1]._forward_pre_hooks


def test_a_teacher_without_batch_norm_is_refused():
    with pytest.raises(HydrometerError, match="no batch norm"):
        batch_norms(nn.Linear(2, 2))
