import pytest
import torch

from hydrometer.engine.schedules import Progress
from hydrometer.registry import build, parse
from hydrometer.types import HydrometerError


def factors(spec, epochs):
    schedule = build("schedule", parse(spec))
    return [schedule(Progress(e, epochs, e, epochs)) for e in range(epochs)]


def test_step_drops_once_half_way():
    assert factors("step(every=0.5,gamma=0.1)", 10) == pytest.approx([1.0] * 5 + [0.1] * 5)


def test_cosine_is_torchs_for_zeta_one():
    param = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([param], lr=1.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=12)
    expected = []
    for _ in range(12):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        reference.step()
    assert factors("cosine(zeta=1.0)", 12) == pytest.approx(expected)


def test_cosine_with_zeta_two_ends_at_half():
    assert factors("cosine(zeta=2.0)", 1000)[-1] == pytest.approx(0.5, abs=2e-3)


def test_a_warm_up_is_torchs_and_leaves_the_cosine_the_rest():
    param = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([param], lr=1.0)
    rise = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=0.01, total_iters=3)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=9)
    expected = []
    for epoch in range(12):
        expected.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        (rise if epoch < 3 else fall).step()
    assert factors("cosine(warmup=3)", 12) == pytest.approx(expected)
    assert len(factors("cosine(warmup=5)", 3)) == 3


def test_drops_stand_where_they_are_put():
    found = factors("multistep(drops=2/3|5/6,gamma=0.2)", 12)
    assert found == pytest.approx([1.0] * 8 + [0.2] * 2 + [0.04] * 2)
    assert factors("multistep(drops=0.3,gamma=0.5)", 10) == [1.0] * 3 + [0.5] * 7


@pytest.mark.parametrize("share", ["0", "1", "x", "1/0", "-0.5", "0.5|2"])
def test_a_drop_needs_a_share_between_0_and_1(share):
    with pytest.raises(HydrometerError, match="is no share of the epochs"):
        factors(f"multistep(drops={share})", 4)


def test_triangle_rises_then_falls_to_nothing():
    got = factors("triangle(warmup=0.2)", 100)
    assert max(got) == pytest.approx(1, abs=0.06)
    assert got.index(max(got)) in (19, 20)
    assert got[-1] < 0.02
    assert all(v > 0 for v in got)


def test_drops_do_not_come_late_when_a_product_rounds_up():
    """0.1 * 3 is 0.30000000000000004 in floats, yet the drop belongs at epoch 3 of 30."""
    got = factors("step(every=0.1,gamma=0.5)", 30)
    assert got == pytest.approx([0.5 ** (e // 3) for e in range(30)])


def test_step_needs_a_share_above_zero():
    with pytest.raises(HydrometerError, match="every=0"):
        factors("step(every=0.0)", 4)


def test_constant_is_constant():
    assert set(factors("constant", 5)) == {1.0}
