import pytest
import torch

import tiny
from hydrometer import protocols, registry, students
from hydrometer.augment import Pipeline
from hydrometer.cli.describe import protocol_story
from hydrometer.engine.program import can_stack
from hydrometer.engine.schedules import Progress
from hydrometer.losses import build
from hydrometer.protocols import Case
from hydrometer.protocols.rd3 import CROSS

SOURCE = tiny.source(size=32, channels=3)
NAMES = [
    f"{name}@1"
    for name in (
        *("rd3", "rd3-small", "rd3-quick", "rd3-cross", "as-sre2l", "as-sre2l-small", "as-cda"),
        *("as-dwa", "as-dwa-small", "as-gvbsm", "as-gvbsm-small", "as-rded", "as-rded-small"),
        *("as-edc", "as-edc-small", "as-cv-dd", "as-cv-dd-small"),
        *("as-sre2l-tiny", "as-dwa-tiny", "as-gvbsm-tiny", "as-edc-tiny", "as-edc-cifar10"),
        *("as-d4m", "as-lpld", "as-lpld-tiny", "as-delt"),
        *(f"as-{by}-quick" for by in ("sre2l", "cda", "dwa", "gvbsm", "rded", "edc")),
    )
]


def arms(name):
    return protocols.load(name).arms(Case(tiny.job(SOURCE).data, SOURCE, ("teacher-digest",)))


@pytest.mark.parametrize("name", NAMES)
def test_subject_and_random_images_meet_the_same_recipe_and_the_one_teacher(name):
    subject, random = arms(name)[:2]
    assert (subject.name, random.name) == ("subject", "random")
    assert subject.recipe == random.recipe
    assert subject.recipe.labels == ("teacher-batch" if "cv-dd" in name else "teacher")
    assert subject.recipe.teacher == ("teacher-digest",)
    Pipeline(subject.recipe.augment)
    build(subject.recipe.loss)
    registry.build("optimiser", subject.recipe.optimiser)


@pytest.mark.parametrize("name", [*NAMES, "as-minimax@1"])
def test_each_tells_its_paper_and_what_was_changed(name):
    story = protocol_story(protocols.load(name))
    assert "arXiv" in story
    assert "Changed" in story
    assert name.partition("@")[0] in story


def test_rd3_has_the_confirmed_values():
    settings = protocols.load("rd3@1").settings
    assert (settings.epochs, settings.batch, settings.rates) == (400, 50, (0.001,))
    assert settings.loss.name == "kl"
    assert [spec.name for spec in settings.augment] == ["random-resized-crop", "flip", "cutmix"]


def test_show_lists_what_is_confirmed_and_what_is_assumed():
    story = protocol_story(protocols.load("rd3@1"))
    confirmed, assumed = story.index("Confirmed"), story.index("Assumed")
    parts = story[confirmed:assumed], story[assumed : story.index("Changed")]
    for part, names in zip(
        parts,
        (("epochs", "batch", "rate", "augment"), ("zeta", "optimiser", "tested")),
        strict=True,
    ):
        lines = [line.split()[0] for line in part.splitlines()[1:] if line.strip()]
        assert set(names) <= set(lines)


def test_small_images_are_flipped_and_mixed_only():
    settings = protocols.load("rd3-small@1").settings
    assert [spec.name for spec in settings.augment] == ["flip", "cutmix"]


def test_every_student_of_rd3_cross_is_an_arm_on_the_same_labels():
    found = arms("rd3-cross@1")
    assert len({arm.name for arm in found}) == 2 + len(CROSS)
    assert len({str(arm.recipe.student) for arm in found[2:]}) == len(CROSS)
    assert {arm.recipe.teacher for arm in found} == {("teacher-digest",)}
    assert {arm.sets[0].digest for arm in found[2:]} == {found[0].sets[0].digest}
    assert all(arm.recipe.schedule.kwargs == {"zeta": 2.0} for arm in found[2:])


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 224])
@pytest.mark.parametrize("name", CROSS)
def test_every_student_of_rd3_cross_takes_small_and_large_images(name, size):
    """Those with dropout or stochastic depth train singly on an accelerator, the others together."""
    model = students.create(students.spec(name), (3, size, size), 7, 0)
    with torch.no_grad():
        assert model.eval()(torch.rand(2, 3, size, size)).shape == (2, 7)
    drawing = ("mobilenet_v2", "efficientnet_b0", "swin_t")
    assert can_stack(model) == (not name.endswith(drawing))


def test_quick_presets_keep_all_but_what_rd3_quick_reduces():
    """A quarter of the epochs, the quick student, teacher and rate, no flip."""
    for by in ("sre2l", "dwa", "gvbsm", "rded", "edc"):
        small = protocols.load(f"as-{by}-small@1").settings
        quick, rd3 = (protocols.load(f"{n}@1").settings for n in (f"as-{by}-quick", "rd3-quick"))
        assert quick.epochs * 4 == small.epochs
        for field in ("batch", "optimiser", "schedule", "loss", "average", "seeds"):
            assert getattr(quick, field) == getattr(small, field)
        for field in ("student", "teacher", "rates"):
            assert getattr(quick, field) == getattr(rd3, field)
        kept = [spec.name for spec in small.augment if spec.name != "flip"]
        assert [spec.name for spec in quick.augment] == kept


def test_the_presets_differ_as_the_authors_do():
    settings = {name: protocols.load(name).settings for name in NAMES}
    assert settings["as-sre2l@1"].batch == 1024
    assert settings["as-cda@1"].batch == 128
    assert settings["as-rded@1"].augment[0].name == "patch-shuffle"
    assert settings["as-edc@1"].average == 0.99
    assert settings["as-delt@1"].augment[0].kwargs == {"scale_min": 0.25}
    assert settings["as-lpld@1"] == settings["as-cda@1"]
    assert settings["as-d4m@1"] == settings["as-sre2l@1"]
    assert settings["as-gvbsm@1"].loss.kwargs == {"gamma": 0.1}
    assert settings["as-sre2l-small@1"].loss.kwargs == {"temperature": 30.0}


def test_sets_of_tiny_imagenet_are_judged_with_sgd_and_a_gradient_scaled_by_t_squared():
    """The table of published settings, 5b: SRe2L and CDA, LPLD, DWA, G-VBSM."""
    found = {by: protocols.load(f"as-{by}-tiny@1").settings for by in ("sre2l", "lpld", "dwa")}
    assert [(s.epochs, s.batch) for s in found.values()] == [(100, 256), (100, 64), (200, 64)]
    for settings in found.values():
        assert settings.rates == (0.2,)
        assert settings.optimiser.kwargs["weight_decay"] == 1e-4
        assert settings.schedule.kwargs == {"warmup": 5}
        assert settings.loss.kwargs == {"temperature": 20.0, "squared": True}
    mixing = [[spec.name for spec in settings.augment] for settings in found.values()]
    assert [names[2:] for names in mixing] == [[], [], ["cutmix"]]
    assert {names[0] for names in mixing} == {"random-resized-crop"}
    other = protocols.load("as-gvbsm-tiny@1").settings
    assert (other.epochs, other.batch, other.rates) == (100, 100, (0.1,))
    assert other.loss.kwargs == {"gamma": 0.1}


def test_minimax_diffusion_is_judged_with_hard_labels():
    subject, random = arms("as-minimax@1")
    assert subject.recipe == random.recipe
    assert (subject.recipe.labels, subject.recipe.teacher) == ("hard", ())
    assert (subject.recipe.epochs, subject.recipe.batch, subject.recipe.lr) == (2000, 64, 0.01)
    schedule = registry.build("schedule", subject.recipe.schedule)
    factors = [schedule(Progress(e, 2000, e, 2000)) for e in (0, 1333, 1334, 1666, 1667)]
    assert factors == pytest.approx([1, 1, 0.2, 0.2, 0.04])
