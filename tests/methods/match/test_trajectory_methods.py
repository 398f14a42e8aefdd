import numpy as np
import pytest
import torch

import tiny
from hydrometer import registry, students
from hydrometer.methods.match import datm, mtt
from hydrometer.methods.match.images import Matched
from hydrometer.methods.match.trajectories import Average, prepare
from hydrometer.testing.methods import MethodContract
from hydrometer.types import Budget, HydrometerError

QUICK = "experts=2,epochs=3,max_start=2,steps=3,span=1,iterations=2,checks=0,student=mlp,width=8"


class TestMtt(MethodContract):
    @pytest.fixture
    def name(self):
        return f"mtt({QUICK})"


class TestDatm(MethodContract):
    @pytest.fixture
    def name(self):
        return f"datm({QUICK},grown=0,skip_above=100.0)"


def learn(spec, count=1, seed=0, **options):
    rng = np.random.default_rng(seed)
    return registry.build(
        "method", registry.parse(spec), tiny.source(), Budget(per_class=count), rng=rng, **options
    )


@pytest.mark.parametrize("name", ["mtt", "datm"])
def test_the_distance_falls_and_the_rate_is_learned(name):
    losses = []
    limit = ",skip_above=100.0" if name == "datm" else ""
    made = learn(
        f"{name}({QUICK.replace('iterations=2', 'iterations=40')},lr_images=1,lr_rate=1e-4{limit})",
        watch=lambda glance: losses.append(glance.loss),
    )
    assert sum(losses[-10:]) < sum(losses[:10])
    assert made.card.student_lr != 0.02


def test_labels_of_datm_are_learned_logits():
    made = learn(f"datm({QUICK},skip_above=100.0)", 2)
    still = learn(f"datm({QUICK},skip_above=100.0,lr_labels=0.0)", 2)
    assert made.soft.shape == (6, 3)
    assert not torch.equal(made.soft, still.soft)
    assert made.card.bytes.labels == 6 * (1 + 4 * 3)


def test_updates_above_the_limit_are_skipped():
    one = learn(f"datm({QUICK},skip_above=0.0,lr_images=1000)")
    other = learn(f"datm({QUICK},skip_above=0.0,lr_images=1)")
    assert one.digest == other.digest
    assert one.digest != learn(f"datm({QUICK},skip_above=100.0)").digest


def test_teslas_gradient_gives_another_set():
    assert learn(f"mtt({QUICK})").digest != learn(f"mtt({QUICK},truncated=True)").digest


def test_flat_experts_and_averaged_images_give_other_sets():
    digests = {learn(f"mtt({QUICK}{more})").digest for more in ("", ",flat=0.3", ",ema=0.9")}
    assert len(digests) == 3
    assert learn(f"datm({QUICK},skip_above=100.0)").digest != (
        learn(f"datm({QUICK},skip_above=100.0,flat=0.3)").digest
    )


def test_the_average_of_images_decays_from_its_start():
    images = torch.zeros(1, 1, 2, 2)
    average = Average(images, 0.9)
    for value, wanted in [(1.0, 0.1), (1.0, 0.19), (5.0, 0.671)]:
        images.fill_(value)
        average.update()
        torch.testing.assert_close(average.images, torch.full_like(images, wanted))


def test_soft_labels_start_as_the_mean_of_experts_that_are_right():
    source = tiny.source()
    plan = mtt.SMALL.asked({"experts": 3, "epochs": 3, "max_start": 2, "span": 1, "expert_lr": 0.1})
    spec = students.spec("mlp(width=8)")
    setting = prepare(source, Matched(spec, {}), "normalise", plan, empty=False)
    canvas, logits = datm.agreed(setting, [2, 0, 3], np.random.default_rng(0))
    assert canvas.labels.tolist() == [0, 0, 2, 2, 2]
    network, judged = setting.network, 0
    for image, label, got in zip(canvas.images.detach(), canvas.labels, logits, strict=True):
        votes = [network(e.at(3), image[None])[0] for e in setting.experts]
        right = [v for v in votes if v.argmax() == label]
        judged += bool(right)
        torch.testing.assert_close(got, torch.stack(right or votes).mean(0))
    assert judged


def test_the_bound_grows_to_its_end():
    plan = datm.USUAL[10]
    assert [plan.bound(i) for i in (0, 500, 1000, 5000)] == [10, 15, 20, 20]
    assert plan.asked({"max_start": 4}).bound(0) == 4
    assert {mtt.SMALL.bound(i) for i in range(10)} == {8}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("mtt(max_start=30)", "do not lie in 20 expert epochs"),
        ("mtt(max_start=0)", "do not lie"),
        ("datm(min_start=9)", "do not lie"),
        (f"mtt({QUICK},whiten=blur)", "no whitening named 'blur'"),
        (f"mtt({QUICK},rate=1e30)", "diverged"),
        ("mtt(steps=0)", "steps is 0"),
        ("mtt(ema=1.0)", "ema is 1.0"),
        ("mtt(flat=-0.1)", "flat is -0.1"),
    ],
)
def test_mistakes_are_named(spec, said):
    with pytest.raises(HydrometerError, match=said):
        learn(spec)
