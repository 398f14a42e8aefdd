import torch
from torch import nn

from hydrometer.methods.select.grand import gradient_norms
from hydrometer.methods.select.last_layer import errors, gradients

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(6, 5, generator=GENERATOR).double()
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
LAYER = nn.Linear(5, 3).double()
LOGITS = LAYER(FEATURES).detach()


def by_autograd():
    """Gradients (n, k, d + 1) of weights and bias, one backward pass per image."""
    found = []
    for h, y in zip(FEATURES, LABELS, strict=True):
        loss = nn.functional.cross_entropy(LAYER(h)[None], y[None])
        weight, bias = torch.autograd.grad(loss, (LAYER.weight, LAYER.bias))
        found.append(torch.cat([weight, bias[:, None]], 1))
    return torch.stack(found)


def test_factors_multiply_out_to_the_gradients():
    own = gradients(FEATURES, LOGITS, LABELS)
    g = by_autograd()
    flat = g.flatten(1)
    close = torch.testing.assert_close
    close(own.squares(), flat.square().sum(1))
    close(own.products(own[torch.tensor([4, 1])]), flat @ flat[[4, 1]].T)
    close(own.total(), g.sum(0))
    weights = torch.arange(6).double()
    close(own.total(weights), torch.einsum("n,nkd->kd", weights, g))
    close(own.along(g[3]), flat @ flat[3])
    close(gradient_norms(FEATURES, LOGITS, LABELS), flat.norm(dim=1))


def test_errors_keep_their_digits_where_the_network_is_sure():
    found = errors(torch.tensor([[30.0, 0.0, 0.0]]), torch.tensor([0]))
    tail = torch.exp(torch.tensor(-30.0))
    torch.testing.assert_close(found, torch.stack([-2 * tail, tail, tail])[None], atol=0, rtol=1e-5)
