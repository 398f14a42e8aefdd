import pytest
import torch
from torch.nn.functional import avg_pool2d

from hydrometer.students.pool import halve


@pytest.mark.parametrize("size", [(8, 8), (2, 6), (5, 4), (7, 7)])
def test_halve_is_average_pooling_forward_and_backward(size):
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(2, 3, *size, generator=generator, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    halve(ours).square().sum().backward()
    avg_pool2d(theirs, 2).square().sum().backward()
    torch.testing.assert_close(halve(ours), avg_pool2d(theirs, 2))
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_halve_under_vmap():
    images = torch.arange(2.0 * 3 * 4 * 4).view(2, 3, 1, 4, 4)
    expected = torch.stack([halve(x) for x in images])
    torch.testing.assert_close(torch.func.vmap(halve)(images), expected)
