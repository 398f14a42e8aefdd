import pytest
import torch

from hydrometer.registry import build, names, parse
from hydrometer.types import HydrometerError

CASES = [
    (
        "sgd(momentum=0.9,weight_decay=0.01)",
        torch.optim.SGD,
        {"momentum": 0.9, "weight_decay": 0.01},
    ),
    (
        "sgd(momentum=0.8,nesterov=True,weight_decay=0.02)",
        torch.optim.SGD,
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.02},
    ),
    (
        "gsam(momentum=0.9,weight_decay=0.01)",
        torch.optim.SGD,
        {"momentum": 0.9, "weight_decay": 0.01},
    ),
    ("adam(weight_decay=0.1)", torch.optim.Adam, {"weight_decay": 0.1}),
    ("adamw(weight_decay=0.1)", torch.optim.AdamW, {"weight_decay": 0.1}),
]


def params(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(3, 4, generator=generator), torch.randn(5, generator=generator)]


def test_every_optimiser_has_an_oracle():
    assert {parse(spec).name for spec, _, _ in CASES} == set(names("optimiser"))


@pytest.mark.parametrize(
    "spec",
    [
        "sgd(momentum=-1)",
        "sgd(momentum=1.0)",
        "sgd(weight_decay=-1)",
        "adamw(beta1=1.5)",
        "adamw(beta2=-0.1)",
        "adamw(eps=-1)",
        "adam(weight_decay=-1)",
        "gsam(rho=-0.1)",
    ],
)
def test_nonsense_is_refused(spec):
    with pytest.raises(HydrometerError, match="is out of range: at least 0"):
        build("optimiser", parse(spec))


@pytest.mark.parametrize(("spec", "oracle", "kwargs"), CASES)
def test_steps_as_torch_does(spec, oracle, kwargs):
    ours, theirs = params(0), [p.clone().requires_grad_() for p in params(0)]
    optimiser = build("optimiser", parse(spec))
    optimiser.start(ours, [True, False])
    reference = oracle(theirs, lr=0.05, **kwargs)
    for step in range(6):
        grads = params(step + 1)
        optimiser.step(ours, grads, 0.05)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = g
        reference.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spec", [case[0] for case in CASES])
def test_stacked_students_step_as_they_do_alone(spec):
    rates = [0.1, 0.003]
    alone = []
    for k, rate in enumerate(rates):
        own = params(k)
        optimiser = build("optimiser", parse(spec))
        optimiser.start(own, [True, False])
        for step in range(4):
            optimiser.step(own, params(10 * k + step), rate)
        alone.append(own)
    stacked = [torch.stack(pair) for pair in zip(params(0), params(1), strict=True)]
    optimiser = build("optimiser", parse(spec))
    optimiser.start(stacked, [True, False])
    for step in range(4):
        grads = [torch.stack(p) for p in zip(params(step), params(10 + step), strict=True)]
        optimiser.step(stacked, grads, torch.tensor(rates))
    for i in range(2):
        for k in range(2):
            torch.testing.assert_close(stacked[i][k], alone[k][i])


def test_adamw_spares_vectors_when_asked():
    own = [torch.ones(2, 2), torch.ones(2)]
    optimiser = build("optimiser", parse("adamw(weight_decay=0.5,decay_vectors=False)"))
    optimiser.start(own, [True, False])
    optimiser.step(own, [torch.zeros(2, 2), torch.zeros(2)], 0.1)
    assert torch.allclose(own[0], torch.full((2, 2), 0.95))
    assert torch.equal(own[1], torch.ones(2))
