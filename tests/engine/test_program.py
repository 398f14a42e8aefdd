import copy

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torchvision import models

import tiny
from hydrometer.engine.objective import Target
from hydrometer.engine.program import Solo, Stack, can_stack
from hydrometer.losses import build
from hydrometer.types import Spec

LABELS = torch.arange(4) % 3


def transformer():
    """Torchvision starts its head at zero."""
    made = models.VisionTransformer(
        image_size=32,
        patch_size=16,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=8,
        num_classes=3,
    )
    nn.init.normal_(made.heads.head.weight, std=0.1)
    return made


def residual():
    return models.ResNet(models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=3)


@pytest.mark.parametrize("make", [transformer, residual])
def test_networks_of_torchvision_in_one_program_are_those_trained_alone(make):
    """What rd3-cross stacks on an accelerator: attention, and batch norm with its running statistics.

    The processor's own kernel of attention has no batching rule, and is left out.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        nets = [make(), make()]
        images = torch.rand(2, 4, 3, 32, 32)
    assert all(map(can_stack, nets))
    recipe, loss = tiny.recipe(), build(Spec("cross-entropy"))
    alone = [Solo(copy.deepcopy(net), recipe, loss, tiny.CPU) for net in nets]
    stacked = Stack(nets, recipe, loss, tiny.CPU)
    with sdpa_kernel(SDPBackend.MATH):
        for _ in range(2):
            together = stacked.step(images, Target(LABELS.expand(2, 4)), [0.01, 0.02])
            for k, solo in enumerate(alone):
                one = solo.step(images[k : k + 1], Target(LABELS[None]), [(0.01, 0.02)[k]])
                torch.testing.assert_close(together[k], one[0], rtol=1e-4, atol=1e-5)
        seen = stacked.logits(images[0])
        assert torch.backends.mha.get_fastpath_enabled()
        for k, solo in enumerate(alone):
            torch.testing.assert_close(seen[k], solo.logits(images[0])[0], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Dropout(0.1),
        nn.FeatureAlphaDropout(0.1),
        nn.MultiheadAttention(4, 2, dropout=0.1),
        nn.RReLU(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_draw_cannot_be_stacked(layer):
    assert not can_stack(nn.Sequential(nn.Linear(4, 4), layer))


@pytest.mark.parametrize("layer", [nn.Dropout(0.0), nn.MultiheadAttention(4, 2)])
def test_layers_that_do_not_draw_can(layer):
    assert can_stack(nn.Sequential(nn.Linear(4, 4), layer))
