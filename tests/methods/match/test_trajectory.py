import pytest
import torch
from torch.nn import functional as F

from hydrometer.methods.match.trajectory import through_training

STEPS, IMAGES, CLASSES, PIXELS, HIDDEN = 6, 7, 3, 5, 4
SIZE = PIXELS * HIDDEN + HIDDEN * CLASSES


def problem(seed=0):
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    rows = [torch.randperm(IMAGES, generator=g)[:4] for _ in range(STEPS)]
    return draw(SIZE), draw(SIZE), draw(IMAGES, PIXELS), draw(IMAGES, CLASSES), rows


def network(weights, images):
    first, last = weights.split([PIXELS * HIDDEN, HIDDEN * CLASSES])
    return torch.tanh(images @ first.view(PIXELS, HIDDEN)) @ last.view(HIDDEN, CLASSES)


def minibatch_loss(rows):
    def loss(weights, images, labels, step):
        picked = labels[rows[step]]
        wanted = picked.softmax(-1) if labels.is_floating_point() else picked
        return F.cross_entropy(network(weights, images[rows[step]]), wanted)

    return loss


def unrolled(loss, end, start, images, labels, rate, momentum):
    """The whole training as one autograd graph."""
    images = images.clone().requires_grad_()
    inputs = [images]
    if labels.is_floating_point():
        labels = labels.clone().requires_grad_()
        inputs.append(labels)
    rate = torch.tensor(rate, dtype=torch.float64, requires_grad=True)
    weights, velocity = start.clone().requires_grad_(), torch.zeros_like(start)
    for step in range(STEPS):
        (slope,) = torch.autograd.grad(
            loss(weights, images, labels, step), weights, create_graph=True
        )
        velocity = momentum * velocity + slope
        weights = weights - rate * velocity
    value = end(weights)
    return value.detach(), torch.autograd.grad(value, [*inputs, rate])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("soft", [True, False])
def test_the_adjoint_equals_the_full_unroll(momentum, soft):
    start, goal, images, logits, rows = problem()
    labels = logits if soft else logits.argmax(-1)
    loss = minibatch_loss(rows)

    def end(weights):
        return (weights - goal).square().sum() / (start - goal).square().sum()

    value, wanted = unrolled(loss, end, start, images, labels, 0.3, momentum)
    found = through_training(loss, end, start, images, labels, 0.3, STEPS, momentum=momentum)
    assert found.loss == value
    got = [found.images, *([found.labels] if soft else []), found.rate]
    assert (found.labels is not None) == soft
    for one, other in zip(got, wanted, strict=True):
        assert (one - other).norm() / other.norm() < 1e-10


def test_teslas_gradient_is_another_unless_there_is_one_step():
    start, goal, images, labels, rows = problem()
    loss = minibatch_loss(rows)

    def end(weights):
        return (weights - goal).square().sum()

    def both(steps):
        return [
            through_training(loss, end, start, images, labels, 0.3, steps, truncated=t)
            for t in (False, True)
        ]

    exact, tesla = both(STEPS)
    assert (exact.images - tesla.images).norm() / exact.images.norm() > 0.01
    assert exact.loss == tesla.loss
    exact, tesla = both(1)
    torch.testing.assert_close(exact.images, tesla.images, rtol=1e-12, atol=0)


def test_nothing_that_was_handed_in_is_changed():
    start, goal, images, labels, rows = problem()
    before = [t.clone() for t in (start, images, labels)]
    through_training(
        minibatch_loss(rows), lambda w: (w - goal).square().sum(), start, images, labels, 0.3, 3
    )
    for one, other in zip((start, images, labels), before, strict=True):
        assert torch.equal(one, other)
        assert not one.requires_grad
