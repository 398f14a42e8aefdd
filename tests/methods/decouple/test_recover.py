import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods, registry
from hydrometer.methods.decouple import recover
from hydrometer.methods.decouple.recover import Switches
from hydrometer.testing.methods import MethodContract
from hydrometer.types import Budget, HydrometerError

SOURCE = tiny.source(per_class=20)
NETWORK = "convnet(depth=2,norm=batch,width=8)"


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDROMETER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


class TestSre2l(MethodContract):
    @pytest.fixture
    def name(self):
        return "sre2l(steps=2,teacher=convnet-2-bn)"


def make(spec, count=2, seed=0):
    rng = np.random.default_rng(seed)
    return methods.compress(SOURCE, registry.parse(spec), Budget(per_class=count), rng=rng)


def switches(**changes):
    values = {
        "steps": 60,
        "lr": 0.1,
        "weight": 0.1,
        "crop": lambda done: 1.0,
        "init": "noise",
        "networks": (NETWORK,),
        "epochs": 0,
    }
    return Switches(**values | changes)


def optimised(how, begun=None):
    teachers = [recover._squeezed(SOURCE, name, 0) for name in how.networks]
    rng = np.random.default_rng(0)
    begun = torch.from_numpy(rng.random((3, 1, 8, 8), dtype=np.float32)) if begun is None else begun
    ones = [recover._watched(SOURCE, teacher, how) for teacher in teachers]
    images, history = recover.optimise(begun, torch.arange(3), ones, how, rng=rng)
    return images, history, teachers


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"crop": lambda done: 0.5},
        {"momentum": 0.5, "convolutions": True},
        {"perturbation": 0.01, "ascent": 2},
    ],
)
def test_statistics_come_closer_and_the_teacher_is_convinced(changes):
    images, history, [teacher] = optimised(switches(**changes))
    assert np.mean(history[-10:]) < 0.7 * np.mean(history[:5])
    assert images.min() >= 0
    assert images.max() <= 1
    assert teacher.model(teacher.lens(images)).argmax(1).tolist() == [0, 1, 2]


def test_the_teacher_itself_is_not_moved():
    before = recover._squeezed(SOURCE, NETWORK, 0).model.state_dict()
    _, _, [teacher] = optimised(switches(steps=2, perturbation=1.0, ascent=2))
    after = teacher.model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_perturbed_teacher_gives_other_images():
    plain, moved = (optimised(switches(steps=5, perturbation=p, ascent=2))[0] for p in (0.0, 1.0))
    assert not torch.equal(plain, moved)


def test_batches_hold_one_image_of_each_class():
    found = [rows.tolist() for rows in recover._rounds([2, 0, 3])]
    assert found == [[0, 2], [1, 3], [4]]


@pytest.mark.parametrize("init", ["noise", "real", "rded"])
def test_few_steps_stay_near_the_start(init):
    made = make(f"sre2l(steps=1,lr=1e-6,init={init},teacher=convnet-2-bn)", 1)
    assert len(made) == 3
    if init == "real":
        apart = (SOURCE.train.images[:, None].float() - made.images[None].float()).abs()
        assert apart.amax((2, 3, 4)).min(0).values.max() <= 1


@pytest.mark.parametrize("name", ["cda", "dwa", "g-vbsm"])
def test_every_method_fills_its_budget_and_names_its_teachers(name):
    more = ",networks=1" if name == "g-vbsm" else ",teacher=convnet-2-bn"
    made = make(f"{name}(steps=2{more})")
    assert made.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert made.images.dtype == torch.uint8
    assert made.digest == make(made.card.method).digest
    assert any("on val" in note and "teacher" in note for note in made.card.notes)
    assert made.digest != make(f"{name}(steps=2{more})", seed=1).digest


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("sre2l(init=nothing)", "noise, real, rded"),
        ("sre2l(steps=0)", "steps=0"),
        ("sre2l(lr=0)", "lr=0"),
        ("sre2l(teacher=convnet-2)", "no batch norm"),
        ("g-vbsm(momentum=1)", "momentum=1"),
        ("dwa(ascent=0)", "ascent=0"),
    ],
)
def test_mistakes_are_named(spec, said):
    with pytest.raises(HydrometerError, match=said):
        make(spec)
