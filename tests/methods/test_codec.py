import inspect

import numpy as np
import pytest
import torch

from hydrometer import methods, registry
from hydrometer.artifact.composites import rows_of
from hydrometer.methods import codec
from hydrometer.methods.bytes import after_jpeg, jpeg_bytes, png_bytes
from hydrometer.methods.codec import Codec, read
from hydrometer.testing.sources import bars
from hydrometer.types import Budget, HydrometerError

SOURCE = bars(size=16)
QUICK = {"epochs": 3, "iterations": 2, "checks": 0}
SPECS = {
    name: registry.get("method", name)
    for name in registry.names("method")
    if any(f".{part}." in registry.get("method", name).__module__ for part in ("select", "stitch"))
}


def quick(name):
    takes = inspect.signature(registry.get("method", name)).parameters
    return registry.Spec(name, tuple((k, v) for k, v in QUICK.items() if k in takes))


def made(spec, budget, text="raw", teacher=0):
    spec = registry.parse(spec) if isinstance(spec, str) else spec
    rng = np.random.default_rng(0)
    how = read(text)
    return methods.compress(SOURCE, spec, budget, stored_as=how, teacher=teacher, rng=rng)


EVERY = [(name, "png") for name in (*SPECS, "dm")]
SOME = [(name, "jpeg(quality=60)") for name in ("random", "craig", "pca", "rded", "dm")]


@pytest.mark.parametrize(("name", "text"), [*EVERY, *SOME])
def test_the_next_image_would_not_fit_in_the_files(name, text):
    limit = 5000
    found = made(quick(name), Budget(bytes=limit), text)
    assert found.card.bytes.total <= limit < found.card.bytes.total + 1200
    if text == "png":
        assert found.card.bytes.images == png_bytes(found.images)
    assert found.card.codec == text
    assert found.card.budget == "bytes=5000"
    counts = found.labels.bincount(minlength=3)
    assert counts.max() - counts.min() <= 1


def test_one_more_image_is_over_the_limit():
    limit = 5000
    found = made("random", Budget(bytes=limit), "png")
    unit = SOURCE.train.images[0].numel() + 1
    more = made("random", Budget(bytes=unit * (len(found) + 1)), "raw")
    assert len(more) == len(found) + 1
    assert png_bytes(more.images) + len(more) > limit


def test_students_see_what_the_jpeg_files_hold():
    plain = made("random", Budget(per_class=2))
    lossy = made("random", Budget(per_class=2), "jpeg(quality=30)")
    assert torch.equal(lossy.images, after_jpeg(plain.images, 30))
    assert lossy.card.bytes.images == jpeg_bytes(plain.images, 30)
    assert lossy.index is None
    assert torch.equal(rows_of(lossy.card)[:, 0], plain.index)
    assert lossy.digest != plain.digest


def test_lossless_files_leave_the_set_as_it_is():
    plain, filed = (made("random", Budget(per_class=2), text) for text in ("raw", "png"))
    assert filed.digest == plain.digest
    assert torch.equal(filed.index, plain.index)
    assert filed.card.bytes.images == png_bytes(plain.images)


def test_learned_images_are_rounded_and_say_so():
    found = made("dm(iterations=2,checks=0)", Budget(per_class=1), "png")
    assert found.images.dtype == torch.uint8
    assert "rounded to 8 bits" in found.card.notes[-1]


@pytest.mark.parametrize("text", ["raw", "png"])
def test_a_teacher_is_paid_for(text):
    alone = made("random", Budget(bytes=6000), text)
    taught = made("random", Budget(bytes=6000), text, teacher=2000)
    assert taught.card.bytes.teacher == 2000
    assert taught.card.bytes.total <= 6000
    assert len(taught) < len(alone)


@pytest.mark.parametrize("text", ["raw", "jpeg"])
def test_a_budget_below_one_image_buys_none(text):
    found = made("random", Budget(bytes=10), text)
    assert len(found) == found.card.bytes.total == 0


@pytest.mark.parametrize("teacher", [0, 4])
@pytest.mark.parametrize(
    ("spec", "text"),
    [("random", "raw"), ("random", "png"), ("random", "jpeg"), ("craig", "raw"), ("dm", "raw")],
)
def test_a_budget_below_one_image_says_what_one_takes(spec, text, teacher):
    found = made(quick(spec), Budget(bytes=teacher + 10), text, teacher)
    (warning,) = codec.warnings(found)
    one = int(warning.split()[-2])
    assert str(found.card.budget) in warning
    assert len(made(quick(spec), Budget(bytes=one), text, teacher)) == 1
    assert not len(made(quick(spec), Budget(bytes=one - 1), text, teacher))


@pytest.mark.parametrize("budget", [Budget(bytes=0), Budget(per_class=0), Budget(bytes=6000)])
def test_who_gets_what_was_asked_for_is_not_warned(budget):
    assert not codec.warnings(made("random", budget))


def test_the_draws_do_not_depend_on_the_search():
    first, second = (made("random", Budget(bytes=4000), "jpeg") for _ in range(2))
    assert first.digest == second.digest


def test_the_search_runs_the_method_a_few_times_and_is_charged_for_all():
    runs = []

    def make(budget):
        runs.append(budget)
        return made("random", budget)

    found = codec.within(make, Budget(bytes=8000), Codec("png"))
    assert len(runs) <= 12
    assert found.card.seconds > made("random", Budget(per_class=2)).card.seconds


@pytest.mark.parametrize(
    ("text", "budget", "teacher", "said"),
    [
        ("webp", Budget(per_class=1), 0, "known: raw, png, jpeg"),
        ("png(quality=3)", Budget(per_class=1), 0, "known: raw, png, jpeg"),
        ("jpeg(quality=99)", Budget(per_class=1), 0, "quality=99"),
        ("raw", Budget(bytes=10), 11, "teacher alone takes 11 bytes"),
        ("jpeg", Budget(bytes=10**6), 0, "train holds 20"),
    ],
)
def test_mistakes_are_named(text, budget, teacher, said):
    with pytest.raises(HydrometerError, match=said):
        made("random", budget, text, teacher)
