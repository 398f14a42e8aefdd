"""Sizes and structure of the field's students, against known counts and independent builds."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F
from torchvision import models

from hydrometer import students
from hydrometer.students.convnet import convnet
from hydrometer.students.resnet import resnet
from hydrometer.students.vgg import vgg
from hydrometer.types import HydrometerError


def parameters(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "classes", "count"),
    [
        ("convnet-3", (3, 32, 32), 10, 320_010),
        ("convnet-3-bn", (3, 32, 32), 10, 320_010),
        ("convnet-3", (3, 32, 32), 100, 504_420),
        ("convnet-4", (3, 64, 64), 10, 467_850),
        ("convnet-4", (3, 64, 64), 200, 857_160),
        ("convnet-3", (1, 28, 28), 10, 320_010 - 2 * 128 * 9),
        ("resnet-18", (3, 32, 32), 10, 11_173_962),
        ("resnet-18", (3, 224, 224), 1000, 11_689_512),
        ("resnet-50", (3, 224, 224), 1000, 25_557_032),
        ("vgg-11", (3, 32, 32), 10, 9_231_114),
        ("alexnet", (3, 32, 32), 10, 1_872_202),
        ("lenet", (3, 32, 32), 10, 62_006),
        ("lenet", (1, 28, 28), 10, 61_706),
        ("mlp", (1, 28, 28), 10, 785 * 128 + 129 * 128 + 1290),
    ],
)
def test_known_parameter_counts(name, shape, classes, count):
    assert parameters(students.build(students.spec(name), shape, classes)) == count


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("convnet-2", 8),
        ("convnet(depth=3,width=16)", 28),
        ("convnet(depth=3,width=16)", 30),
        ("convnet(depth=4,width=16,norm=gn)", 64),
        ("convnet(depth=5,width=16)", 224),
        ("resnet-18", 8),
        ("resnet-18-in", 16),
        ("resnet-18", 32),
        ("resnet-18-gn", 64),
        ("resnet-34", 224),
        ("vgg-11", 28),
        ("vgg-11-in", 32),
        ("vgg-11", 64),
        ("vgg-11-none", 224),
        ("alexnet", 8),
        ("alexnet", 64),
        ("lenet", 28),
        ("lenet", 64),
        ("mlp", 8),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_sizes(name, side, channels):
    shape = (channels, side, side)
    model = students.create(students.spec(name), shape, 4, 0)
    logits = model.eval()(torch.rand(2, *shape))
    assert logits.shape == (2, 4)
    assert logits.isfinite().all()
    assert (logits[0] - logits[1]).abs().max() > 1e-6


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("convnet-4", 8, "at most 3"),
        ("vgg-11", 16, "at least 32"),
        ("alexnet", 7, "at least 8"),
        ("lenet", 8, "at least 16"),
        ("resnet-18-in", 8, "norm=batch"),
    ],
)
def test_images_that_are_too_small_are_refused(name, side, message):
    with pytest.raises(HydrometerError, match=message):
        students.build(students.spec(name), (3, side, side), 10)


def test_convnet_pools_down_to_one_pixel_but_not_further():
    assert convnet((1, 9, 20), 2, depth=3, width=4)(torch.rand(2, 1, 9, 20)).shape == (2, 2)
    with pytest.raises(HydrometerError, match="9x20"):
        convnet((1, 9, 20), 2, depth=4, width=4)


def test_convnet_is_what_it_says():
    model = convnet((3, 16, 16), 5, depth=2, width=8)
    x = torch.rand(3, 3, 16, 16)
    nn.init.normal_(model.norms[0].weight)
    (k1, b1, k2, b2, g1, s1, g2, s2, weight, bias) = model.state_dict().values()
    y = x
    for k, b, g, s in ((k1, b1, g1, s1), (k2, b2, g2, s2)):
        y = F.instance_norm(F.conv2d(y, k, b, padding=1), weight=g, bias=s)
        half = y.shape[-1] // 2
        y = y.clamp(min=0).reshape(3, 8, half, 2, half, 2).mean((3, 5))
    torch.testing.assert_close(model(x), F.linear(y.reshape(3, -1), weight, bias))


def test_28_pixels_are_padded_to_32():
    small = convnet((1, 28, 28), 5, depth=3, width=8)
    large = convnet((1, 32, 32), 5, depth=3, width=8)
    large.load_state_dict(small.state_dict())
    x = torch.rand(2, 1, 28, 28)
    torch.testing.assert_close(small(x), large(F.pad(x, [2] * 4)))


def copied(ours, theirs):
    """Give torchvision's network the weights of ours, matched in the order of their layers."""
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    pairs = [[m for m in net.modules() if isinstance(m, kinds)] for net in (ours, theirs)]
    for a, b in zip(*pairs, strict=True):
        b.load_state_dict(a.state_dict())
    return theirs


@pytest.mark.parametrize(("depth", "reference"), [(18, models.resnet18), (50, models.resnet50)])
@pytest.mark.parametrize("side", [32, 96])
def test_resnet_is_torchvisions_up_to_its_stem(depth, reference, side):
    theirs = reference(num_classes=6)
    if side == 32:
        theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    ours = resnet((3, side, side), 6, depth=depth)
    x = torch.rand(2, 3, side, side)
    torch.testing.assert_close(ours(x), copied(ours, theirs)(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [11, 19])
def test_vgg_has_torchvisions_convolutions(depth):
    theirs = models.get_model(f"vgg{depth}_bn", num_classes=6).features
    ours = vgg((3, 32, 32), 6, depth=depth)
    x = torch.rand(2, 3, 32, 32)
    expected = ours.classifier(copied(ours.convolutions, theirs)(x).flatten(1))
    torch.testing.assert_close(ours(x), expected)


@pytest.mark.parametrize(
    "name", ["convnet(width=8)", "convnet(width=8,norm=gn)", "convnet(width=8,norm=bn)", "lenet"]
)
def test_a_cohort_under_vmap_equals_its_members(name):
    spec, shape = students.spec(name), (1, 16, 16)
    members = [students.create(spec, shape, 3, key) for key in (1, 2)]
    x, y = torch.rand(2, 4, *shape), torch.randint(3, (2, 4))

    def loss(weights, buffers, images, labels):
        state = (weights, buffers)
        return F.cross_entropy(functional_call(members[0], state, (images,)), labels)

    weights, buffers = stack_module_state(members)
    together = vmap(grad(loss))(weights, buffers, x, y)
    for i, member in enumerate(members):
        F.cross_entropy(member(x[i]), y[i]).backward()
        for key, p in member.named_parameters():
            torch.testing.assert_close(together[key][i], p.grad, rtol=1e-4, atol=1e-5)
