import torch
from torch.nn.functional import cross_entropy

from hydrometer.methods.select.grand import gradient_norms

GENERATOR = torch.Generator().manual_seed(0)


def test_norms_are_those_of_one_backward_pass_per_image():
    layer = torch.nn.Linear(5, 3).double()
    features = torch.randn(8, 5, generator=GENERATOR).double()
    labels = torch.randint(0, 3, (8,), generator=GENERATOR)
    expected = []
    for h, y in zip(features, labels, strict=True):
        loss = cross_entropy(layer(h)[None], y[None])
        parts = torch.autograd.grad(loss, (layer.weight, layer.bias))
        expected.append(torch.cat([p.flatten() for p in parts]).norm())
    found = gradient_norms(features, layer(features).detach(), labels)
    torch.testing.assert_close(found, torch.stack(expected))
