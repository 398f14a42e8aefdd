import json
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import tiny
from hydrometer import digest, seeds, students, units
from hydrometer.artifact.rows import whole
from hydrometer.engine.data import Lens
from hydrometer.engine.loop import Cohort, Job, train
from hydrometer.methods.match import experts
from hydrometer.methods.match.networks import Network
from hydrometer.types import HydrometerError, Spec, Trial

STUDENT = students.spec("convnet(depth=1,width=4)")
SOURCE = tiny.source(per_class=8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))


@pytest.fixture
def lens():
    return Lens(SOURCE, Spec("normalise"), tiny.CPU)


def how(**changes):
    settings = {"epochs": 3, "lr": 0.02, "batch": 8, "whiten": Spec("normalise")} | changes
    return experts.recipe(STUDENT, **settings)


def test_snapshots_are_the_weights_of_the_training_loop(lens):
    data = whole(SOURCE)
    job = Job(Trial(data.digest, SOURCE.digest, how(), 1), data)
    seen = []
    program, _ = train(
        Cohort([job], SOURCE, lens, ()),
        on_epoch=lambda epoch, p: seen.append(torch.cat([w.detach().flatten() for w in p.params])),
    )
    expert = experts.obtain(SOURCE, lens, how(), 2)[1]
    model = students.create(STUDENT, SOURCE.shape, 3, seeds.key(1, "initialise"))
    start = torch.cat([w.detach().flatten() for w in model.parameters()])
    for epoch, wanted in enumerate([start, *seen]):
        assert torch.equal(expert.at(epoch), wanted)
    assert not torch.equal(expert.at(1), expert.at(2))
    images = lens(SOURCE.val.images)
    torch.testing.assert_close(Network(model)(expert.at(3), images), program.logits(images)[0])


def test_a_cohort_of_experts_is_stored_one_by_one(lens, monkeypatch, tmp_path):
    alone = experts.obtain(SOURCE, lens, how(), 3)
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "other"))
    home = experts.folder(SOURCE, how())
    home.mkdir(parents=True)
    experts._train(SOURCE, lens, how(), [0, 1, 2], home)
    for one, other in zip(alone, experts.obtain(SOURCE, lens, how(), 3), strict=True):
        torch.testing.assert_close(one.at(3), other.at(3), rtol=1e-4, atol=1e-5)
    assert not torch.equal(alone[0].at(0), alone[1].at(0))


def test_complete_experts_are_not_trained_again(lens, monkeypatch):
    trained, real = [], experts._train

    def watched(source, lens, how, group, home):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.extend(group)
        real(source, lens, how, group, home)

    monkeypatch.setattr(experts, "_train", watched)
    with pytest.raises(KeyboardInterrupt):
        experts.obtain(SOURCE, lens, how(), 4)
    trained[:] = [None]
    experts.obtain(SOURCE, lens, how(), 3)
    assert trained == [None, 2]


def test_size_is_known_beforehand(lens):
    wanted = experts.bytes_needed(SOURCE, how(), 2)
    found = experts.obtain(SOURCE, lens, how(), 2)
    sizes = [e.path.stat().st_size for e in found]
    assert wanted < sum(sizes) < wanted + 2 * 4096
    assert found[0].epochs == 3


def test_plain_experts_keep_their_recipe_and_flat_ones_have_another():
    plain = experts.recipe(
        students.spec("convnet-3"), epochs=50, lr=0.01, batch=256, whiten=Spec("zca")
    )
    assert digest.of(plain) == "95fb21fb5703697ba37c"  # what buffers on disk are kept under
    flat = how(flat=0.3)
    wanted = "gsam(alpha=0.3,momentum=0.0,rho=0.01,weight_decay=0.0)"
    assert str(digest.recipe_from(digest.canonical(flat)).optimiser) == wanted
    assert len({experts.folder(SOURCE, h) for h in (how(), flat, how(flat=1.0))}) == 3


def test_flat_experts_are_others_and_their_buffers_do_not_mix(lens):
    plain, flat = (experts.obtain(SOURCE, lens, h, 1)[0] for h in (how(), how(flat=0.3)))
    assert torch.equal(plain.at(0), flat.at(0))
    assert not torch.equal(plain.at(3), flat.at(3))
    assert "gsam" in flat.card.recipe
    flat.path.write_bytes(plain.path.read_bytes())
    with pytest.raises(HydrometerError, match="another source or recipe"):
        experts.obtain(SOURCE, lens, how(flat=0.3), 1)


def test_what_is_trained_is_told_with_its_size_before(lens, caplog, monkeypatch):
    caplog.set_level("INFO", logger="hydrometer")
    monkeypatch.setattr(experts, "_train", lambda *a: pytest.fail("trained first"))
    with pytest.raises(pytest.fail.Exception):
        experts.obtain(SOURCE, lens, how(), 3)
    size = units.bytes(experts.bytes_needed(SOURCE, how(), 3))
    assert f"experts to train: 3 of {STUDENT}, 3 epochs, {size} in " in caplog.text


def test_a_disk_that_is_too_small_is_refused_before_anything_is_trained(lens, monkeypatch):
    usage = SimpleNamespace(free=experts.bytes_needed(SOURCE, how(), 3) - 1)
    monkeypatch.setattr(experts.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(HydrometerError, match="lower experts or epochs"):
        experts.obtain(SOURCE, lens, how(), 3)
    assert len(experts.obtain(SOURCE, lens, how(), 2)) == 2


def altered(path, change):
    with safe_open(str(path), framework="pt") as file:
        card, snapshots = json.loads(file.metadata()["card"]), file.get_tensor("snapshots")
    change(card, snapshots)
    save_file({"snapshots": snapshots}, path, metadata={"card": json.dumps(card)})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda card, shots: shots[0].mul_(2), "altered"),
        (lambda card, shots: card.update(seed=5), "another source or recipe"),
        (lambda card, shots: card.update(recipe="{}"), "another source or recipe"),
        (lambda card, shots: card.pop("digest"), "damaged"),
    ],
)
def test_wrong_files_are_refused(lens, change, said):
    path = experts.obtain(SOURCE, lens, how(), 1)[0].path
    altered(path, change)
    with pytest.raises(HydrometerError, match=said):
        experts.obtain(SOURCE, lens, how(), 1)


def test_truncated_files_are_refused(lens):
    path = experts.obtain(SOURCE, lens, how(), 1)[0].path
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(HydrometerError, match="damaged"):
        experts.obtain(SOURCE, lens, how(), 1)


def test_mistakes_are_named(lens):
    with pytest.raises(HydrometerError, match="experts is 0"):
        experts.obtain(SOURCE, lens, how(), 0)
    with pytest.raises(HydrometerError, match="flat is -1"):
        how(flat=-1)
    with pytest.raises(HydrometerError, match="diverged"):
        experts.obtain(SOURCE, lens, how(lr=1e30), 1)
