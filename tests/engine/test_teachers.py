import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

import tiny
from hydrometer import digest, seeds, students
from hydrometer.engine import teachers
from hydrometer.engine.loop import Cohort
from hydrometer.execute.lab import Lab
from hydrometer.types import HydrometerError, Spec, Trial

SOURCE = tiny.source(per_class=30)
STUDENT = Spec("convnet", (("depth", 1), ("norm", "batch"), ("width", 4)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))


def trial():
    recipe = tiny.recipe(student=STUDENT, epochs=10)
    data = tiny.whole(SOURCE)
    return Trial(data.digest, SOURCE.digest, recipe, 0), data


def kept(**changes):
    """The digest of a teacher that is in the cache with a card of this kind."""
    recipe = trial()[0].recipe
    model = students.create(STUDENT, SOURCE.shape, 3, seeds.key(0, "initialise"))
    card = {
        "digest": "abc",
        "recipe": digest.canonical(recipe),
        "source": SOURCE.name,
        "source_digest": SOURCE.digest,
        "classes": SOURCE.classes,
        "seed": 0,
        "val_accuracy": 0.9,
        "bytes": 1,
        "seconds": 1.0,
    }
    told = teachers.TeacherCard(**card | changes).model_dump_json()
    teachers.unpack("abc", save(model.state_dict(), metadata={"card": told}))
    return "abc"


def recall(source=SOURCE, **changes):
    return teachers.recall(kept(**changes), source, Lab(source, tiny.CPU).lens(None))


def test_an_empty_variable_names_no_place(monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", "")
    assert teachers.folder() == Path("~/.cache/hydrometer/teachers").expanduser()


def test_a_card_has_the_digest_of_the_trial_the_accuracy_on_val_and_the_bytes():
    """The accuracy against a pass of our own over `val`."""
    lab = Lab(SOURCE, tiny.CPU)
    asked, data = trial()
    teacher = lab.teach(asked, data)
    card = teacher.card
    assert card.digest == digest.of_trial(asked)
    assert digest.recipe_from(card.recipe) == asked.recipe
    seen = teacher.model(teacher.lens(SOURCE.val.images)).argmax(1)
    assert card.val_accuracy == pytest.approx(float((seen == SOURCE.val.labels).float().mean()))
    assert card.bytes == sum(v.nbytes for v in teacher.model.state_dict().values())


@pytest.mark.parametrize("accuracy", [0.0, 1 / 3, 0.39])
def test_a_teacher_near_chance_is_refused(accuracy):
    with pytest.raises(HydrometerError, match=rf"near chance on val \({accuracy:.1%}\)"):
        recall(val_accuracy=accuracy)


def test_what_is_near_chance_depends_on_the_number_of_classes():
    """Of three, 40 % is enough: a tenth of the way up. Of ten it is twice chance."""
    assert recall(val_accuracy=0.41).card.val_accuracy == 0.41
    ten = dataclasses.replace(SOURCE, classes=tuple("0123456789"))
    card = teachers.TeacherCard.model_validate(
        recall().card.model_dump() | {"classes": ten.classes, "val_accuracy": 0.2}
    )
    teachers.check(card, ten)
    with pytest.raises(HydrometerError, match="near chance"):
        teachers.check(card.model_copy(update={"val_accuracy": 0.18}), ten)


def test_a_teacher_of_other_classes_or_of_the_same_in_another_order_is_refused():
    for classes in (("a", "b", "c"), SOURCE.classes[::-1], SOURCE.classes[:2]):
        with pytest.raises(HydrometerError, match="knows other classes than"):
            recall(dataclasses.replace(SOURCE, classes=classes))


def test_a_teacher_of_other_images_is_refused():
    with pytest.raises(HydrometerError, match="images are of another shape"):
        recall(tiny.source(per_class=6, size=16))


def test_a_damaged_or_missing_file_is_named():
    name = kept()
    file = teachers.folder() / f"{name}.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    lens = Lab(SOURCE, tiny.CPU).lens(None)
    with pytest.raises(HydrometerError, match="is damaged"):
        teachers.recall(name, SOURCE, lens)
    with pytest.raises(HydrometerError, match="no teacher nobody under"):
        teachers.recall("nobody", SOURCE, lens)


def labels_of(regime, batch):
    """What a teacher says to a student of the first images of a batch, and whether it has changed."""
    teacher = recall()
    lens = teacher.lens
    how = tiny.recipe(student=STUDENT, labels=regime, loss=Spec("kl"), teacher=("abc",), batch=60)
    job = tiny.job(SOURCE, how)
    before = {k: v.clone() for k, v in teacher.model.state_dict().items()}
    cohort = Cohort([job], SOURCE, lens, [teacher.seen_through(lens, regime)])
    soft = cohort.regime.soft(torch.arange(len(batch))[None], lens(batch)[None], 0)
    after = teacher.model.state_dict()
    return soft[0, :5], all(torch.equal(before[k], after[k]) for k in before)


def test_labels_do_not_depend_on_the_batch_unless_the_regime_says_so():
    images = SOURCE.train.images
    for regime, same in (("teacher", True), ("teacher-batch", False)):
        few, steady = labels_of(regime, images[:5])
        many, still = labels_of(regime, images[:60])
        assert torch.allclose(few, many, atol=1e-5) == same
        assert steady and still  # remembered statistics drift in neither


def test_a_lab_gives_jobs_the_teacher_in_evaluation_mode():
    asked, data = trial()
    teacher = Lab(SOURCE, tiny.CPU).teach(asked, data)
    assert not any(module.training for module in teacher.model.modules())
    assert not any(p.requires_grad for p in teacher.model.parameters())
