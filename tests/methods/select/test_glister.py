import pytest
import torch
from torch.nn.functional import cross_entropy

from hydrometer.methods.select.glister import descend
from hydrometer.methods.select.last_layer import gradients

GENERATOR = torch.Generator().manual_seed(0)
TRAIN, HELD_OUT = (torch.randn(n, 5, generator=GENERATOR).double() for n in (20, 30))
Y = torch.randint(0, 3, (20,), generator=GENERATOR)
Z = torch.randint(0, 3, (30,), generator=GENERATOR)
WEIGHT = torch.randn(3, 6, generator=GENERATOR).double()


def layer(weight, features):
    return torch.cat([features, torch.ones(len(features), 1)], 1).double() @ weight.T


def gradient(weight, features, labels):
    weight = weight.clone().requires_grad_()
    loss = cross_entropy(layer(weight, features), labels, reduction="sum")
    return torch.autograd.grad(loss, weight)[0]


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_order_is_that_of_steps_taken_with_the_weights(chunk):
    own = [gradient(WEIGHT, TRAIN[i : i + 1], Y[i : i + 1]) for i in range(20)]
    step = 0.5 / (1 + TRAIN.square().sum(1)).mean()
    weight, chosen = WEIGHT, []
    while len(chosen) < 8:
        uphill = gradient(weight, HELD_OUT, Z)
        gains = {i: float((own[i] * uphill).sum()) for i in range(20) if i not in chosen}
        best = sorted(gains, key=gains.get, reverse=True)[: min(chunk, 8 - len(chosen))]
        chosen += best
        weight = weight - step * sum(own[i] for i in best)
    found = descend(
        gradients(TRAIN, layer(WEIGHT, TRAIN), Y),
        HELD_OUT,
        layer(WEIGHT, HELD_OUT),
        Z,
        8,
        rate=0.5,
        chunk=chunk,
    )
    assert found.tolist() == chosen


def test_renewing_the_gradient_changes_the_order():
    def order(chunk):
        own = gradients(TRAIN, layer(WEIGHT, TRAIN), Y)
        held_out = HELD_OUT, layer(WEIGHT, HELD_OUT), Z
        return descend(own, *held_out, 8, rate=0.5, chunk=chunk).tolist()

    assert order(1) != order(8)
