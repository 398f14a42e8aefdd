import re

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
        {"by_class": 0.5, "flatness": 1.0},
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


def test_batches_of_whole_classes_fill_up_to_a_size(monkeypatch):
    monkeypatch.setattr(recover, "BATCH", 4)
    found = [rows.tolist() for rows in recover._of_classes([2, 2, 0, 5, 1])]
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7, 8], [9]]
    assert recover._of_classes([0, 0]) == []


def test_the_flat_region_follows_the_images_and_its_distance_is_a_divergence():
    """Against torch's own sum over classes; the average itself passes no gradient."""
    images, later = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)).unbind(0)
    flat = recover.Flat(images, decay=0.75)
    flat.follow(later)
    assert torch.allclose(flat.images, 0.75 * images + 0.25 * later)
    now = later.clone().requires_grad_(True)
    found = flat.distance(2 * now, lambda x: 2 * x, lambda x: x)
    p, q = ((2 * x / 4).softmax(-1) for x in (flat.images, later))
    assert float(found.detach()) == pytest.approx(float((p * (p / q).log()).sum()) / 12, rel=1e-4)
    found.backward()
    assert now.grad.abs().sum() > 0


def test_a_flat_region_and_matching_by_class_change_the_images():
    begun = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain, flat, own = (
        optimised(switches(steps=4, **changes), begun)[0]
        for changes in ({}, {"flatness": 100.0}, {"by_class": 1.0})
    )
    assert not torch.equal(plain, flat)
    assert not torch.equal(plain, own)


def test_several_teachers_are_asked_in_turn_and_all_on_the_card():
    made = make("sre2l(steps=2,teacher=convnet-2-bn|convnet-1-bn)", 1)
    assert len([note for note in made.card.notes if note.startswith("teacher ")]) == 2


@pytest.mark.parametrize("name", ["sre2l", "cda", "dwa", "g-vbsm", "edc"])
def test_every_method_can_start_from_rded(name):
    more = ",networks=1,epochs=20" if name in ("g-vbsm", "edc") else ",teacher=convnet-2-bn"
    made = make(f"{name}(steps=1,lr=1e-6,init=rded{more})", 1)
    judge = re.search("teacher (\\w+)", made.card.notes[0])[1]
    start = make(f"rded(teacher={judge})", 1)
    assert (made.images.float() - start.images.float()).abs().max() <= 1


@pytest.mark.parametrize("init", ["noise", "real", "rded"])
def test_few_steps_stay_near_the_start(init):
    made = make(f"sre2l(steps=1,lr=1e-6,init={init},teacher=convnet-2-bn)", 1)
    assert len(made) == 3
    if init == "real":
        apart = (SOURCE.train.images[:, None].float() - made.images[None].float()).abs()
        assert apart.amax((2, 3, 4)).min(0).values.max() <= 1


@pytest.mark.parametrize("name", ["cda", "dwa", "g-vbsm", "edc"])
def test_every_method_fills_its_budget_and_names_its_teachers(name):
    more = ",networks=1" if name in ("g-vbsm", "edc") else ",teacher=convnet-2-bn"
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
        ("edc(by_class=2)", "by_class=2"),
        ("edc(flatness=-1)", "flatness=-1"),
    ],
)
def test_mistakes_are_named(spec, said):
    with pytest.raises(HydrometerError, match=said):
        make(spec)
