import sys

import pytest
import torch
from torch import nn
from torchvision import models

from hydrometer import students
from hydrometer.types import HydrometerError


def build(name, shape, classes=3):
    return students.build(students.spec(name), shape, classes)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("torchvision:mobilenet_v2", (3, 32, 32)),
        ("torchvision:swin_t", (3, 32, 32)),
        ("torchvision:vit_b_32", (3, 64, 64)),
        ("torchvision:googlenet", (1, 32, 32)),
        ("timm:vit_tiny_patch16_224", (1, 32, 48)),
        ("timm:resnet18", (2, 32, 32)),
    ],
)
def test_networks_of_others_are_built_for_the_images(name, shape):
    model = build(name, shape)
    assert model.training
    features, logits = students.features(model, torch.rand(2, *shape))
    assert logits.shape == (2, 3)
    assert features.shape[0] == 2 and features.ndim == 2


def test_torchvision_networks_see_grey_in_every_channel():
    grey = build("torchvision:resnet18", (1, 32, 32)).eval()
    colour = models.resnet18(num_classes=3).eval()
    colour.load_state_dict(grey.network.state_dict())
    x = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(grey(x), colour(x.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("torchvision:resnett18", (3, 32, 32), "did you mean 'resnet18'"),
        ("torchvision:fcn_resnet50", (3, 32, 32), "no classification model"),
        ("torchvision:resnet18", (4, 32, 32), "1 or 3 channels, not 4"),
        ("torchvision:alexnet", (3, 32, 32), "cannot be built for 3x32x32 images"),
        ("torchvision:vit_b_32", (3, 30, 30), "cannot be built for 3x30x30 images"),
        ("timm:vit_tiny_patch16_225", (3, 32, 32), "did you mean 'vit_tiny_patch16_224'"),
    ],
)
def test_what_others_cannot_do_is_said_before_training(name, shape, message):
    with pytest.raises(HydrometerError, match=message):
        build(name, shape)


def test_proving_a_network_leaves_its_statistics_alone():
    model = build("torchvision:resnet18", (3, 32, 32))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(int(m.num_batches_tracked) == 0 for m in norms)


def test_missing_timm_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(HydrometerError, match=r"pip install hydrometer\[timm\]"):
        build("timm:resnet18", (3, 32, 32))
