import math

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.func import vmap
from torch.nn import functional as F

from hydrometer import losses, registry
from hydrometer.types import HydrometerError, Spec

RNG = np.random.default_rng(0)
STUDENT, TEACHER = (torch.from_numpy(RNG.normal(size=(6, 5)) * 3) for _ in range(2))
LABELS = torch.from_numpy(RNG.integers(5, size=6))


def loss(text):
    return losses.build(registry.parse(text))


def softened(logits, temperature):
    return special.softmax(logits.numpy() / temperature, axis=-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_cross_entropy_is_torchs(smoothing):
    expected = F.cross_entropy(STUDENT, LABELS, label_smoothing=smoothing, reduction="none")
    ours = loss(f"cross-entropy(label_smoothing={smoothing})")(STUDENT, None, LABELS)
    torch.testing.assert_close(ours, expected)


def test_cross_entropy_of_even_logits_is_log_k():
    ours = loss("cross-entropy")(torch.zeros(2, 7), None, torch.tensor([0, 6]))
    torch.testing.assert_close(ours, torch.full((2,), math.log(7)))


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
@pytest.mark.parametrize("squared", [False, True])
def test_kl_is_scipys_relative_entropy(temperature, squared):
    p, q = softened(TEACHER, temperature), softened(STUDENT, temperature)
    expected = stats.entropy(p, q, axis=-1) * (temperature**2 if squared else 1)
    ours = loss(f"kl(temperature={temperature},squared={squared})")(STUDENT, TEACHER, LABELS)
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("squared", [False, True])
def test_soft_cross_entropy_is_the_expected_surprise(temperature, squared):
    p, q = softened(TEACHER, temperature), softened(STUDENT, temperature)
    expected = -(p * np.log(q)).sum(-1) * (temperature**2 if squared else 1)
    text = f"soft-cross-entropy(temperature={temperature},squared={squared})"
    np.testing.assert_allclose(loss(text)(STUDENT, TEACHER, LABELS), expected, rtol=1e-10)


def test_kl_at_20_without_the_square_is_the_default():
    ours = loss("kl")(STUDENT, TEACHER, LABELS)
    torch.testing.assert_close(
        ours, loss("kl(temperature=20.,squared=False)")(STUDENT, TEACHER, LABELS)
    )


def test_kl_vanishes_where_the_student_agrees_up_to_a_constant():
    ours = loss("kl")(TEACHER + 3, TEACHER, LABELS)
    torch.testing.assert_close(ours, torch.zeros_like(ours), rtol=0, atol=1e-12)


def test_kl_of_a_certain_teacher_is_finite():
    certain = torch.tensor([[0.0, -math.inf]])
    ours = loss("kl(temperature=1.)")(torch.zeros(1, 2), certain, torch.tensor([0]))
    torch.testing.assert_close(ours, torch.tensor([math.log(2)]))


def test_mse_gt_by_hand():
    s, t = torch.tensor([[0.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 3.0], [1.0, 1.0]])
    expected = torch.tensor([(1 + 9) / 2 + 0.025 * math.log(2), 0.025 * math.log(2)])
    torch.testing.assert_close(loss("mse-gt")(s, t, torch.tensor([0, 1])), expected)


def test_mse_gt_without_truth_is_torchs_mse():
    ours = loss("mse-gt(gamma=0.0)")(STUDENT, TEACHER, LABELS)
    torch.testing.assert_close(ours.mean(), F.mse_loss(STUDENT, TEACHER))


@pytest.mark.parametrize("name", registry.names("loss"))
def test_gradients_are_right(name):
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    function = loss(name)
    assert torch.autograd.gradcheck(lambda s, t: function(s, t, LABELS), (student, teacher))


def test_kl_gradient_is_the_closed_form():
    student = STUDENT.clone().requires_grad_()
    loss("kl(temperature=4.0,squared=True)")(student, TEACHER, LABELS).sum().backward()
    expected = 4.0 * (softened(STUDENT, 4.0) - softened(TEACHER, 4.0))
    np.testing.assert_allclose(student.grad, expected, atol=1e-12)


@pytest.mark.parametrize("name", registry.names("loss"))
def test_losses_are_per_sample_and_take_any_leading_dimensions(name):
    function = loss(name)
    flat = function(STUDENT, TEACHER, LABELS)
    assert flat.shape == (6,)
    alone = torch.cat(
        [function(STUDENT[i : i + 1], TEACHER[i : i + 1], LABELS[i : i + 1]) for i in range(6)]
    )
    torch.testing.assert_close(flat, alone)
    grouped = [x.reshape(2, 3, *x.shape[1:]) for x in (STUDENT, TEACHER, LABELS)]
    torch.testing.assert_close(function(*grouped).flatten(), flat)
    torch.testing.assert_close(vmap(function)(*grouped).flatten(), flat)


@pytest.mark.parametrize("name", ["soft-cross-entropy", "kl", "mse-gt"])
def test_soft_losses_ask_for_soft_labels(name):
    with pytest.raises(HydrometerError, match=f"{name}.* needs soft labels"):
        loss(name)(STUDENT, None, LABELS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cross-entropy(label_smoothing=1.0)", r"label_smoothing=1.0 .*\[0, 1\)"),
        ("kl(temperature=0)", "temperature=0 .*positive"),
        ("soft-cross-entropy(temperature=-1)", "temperature=-1 .*positive"),
        ("mse-gt(gamma=-0.1)", "gamma=-0.1 .*negative"),
        ("kl(heat=2)", "kl takes: temperature, squared"),
        ("kll", "did you mean 'kl'"),
    ],
)
def test_wrong_losses_are_explained(text, message):
    with pytest.raises(HydrometerError, match=message):
        loss(text)


def test_a_loss_is_built_from_its_spec():
    hot = losses.build(Spec("kl", (("temperature", 1.0),)))(STUDENT, TEACHER, LABELS)
    assert (hot > loss("kl")(STUDENT, TEACHER, LABELS)).all()
