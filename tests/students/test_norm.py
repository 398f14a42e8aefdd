import pytest
import torch
from torch import nn

from hydrometer.students.norm import GROUPS, normalise
from hydrometer.types import HydrometerError


def with_random_affine(layer):
    for p in layer.parameters():
        nn.init.normal_(p)
    return layer


@pytest.mark.parametrize("training", [True, False])
def test_instance_norm_is_torchs_instance_norm(training):
    ours = with_random_affine(normalise("instance", 6)).train(training)
    theirs = nn.InstanceNorm2d(6, affine=True).train(training)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 6, 5, 7) * 3 + 1
    torch.testing.assert_close(ours(x), theirs(x))


def test_group_norm_standardises_each_quarter_of_the_channels():
    x = torch.randn(3, 8, 5, 5) * 4 - 2
    groups = normalise("group", 8)(x).reshape(3, GROUPS, -1)
    assert GROUPS == 4
    torch.testing.assert_close(groups.mean(-1), torch.zeros(3, GROUPS), rtol=0, atol=1e-5)
    torch.testing.assert_close(groups.var(-1, unbiased=False), torch.ones(3, GROUPS))


def test_batch_norm_standardises_each_channel_over_the_batch():
    y = normalise("batch", 6)(torch.randn(5, 6, 4, 4) * 4 - 2)
    torch.testing.assert_close(y.mean((0, 2, 3)), torch.zeros(6), rtol=0, atol=1e-5)


def test_none_changes_nothing():
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(normalise("none", 3)(x), x)


def test_group_norm_needs_channels_that_divide():
    with pytest.raises(HydrometerError, match="multiple of 4 channels, not 6"):
        normalise("group", 6)
