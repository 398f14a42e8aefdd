import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer import methods, registry
from hydrometer.methods.stitch import rded as module
from hydrometer.methods.stitch.crops import random_crops
from hydrometer.types import Budget, HydrometerError

SOURCE = tiny.source(per_class=8, size=8)


class Judge:
    """A teacher that finds an image of any class the likelier, the brighter its class's own bar."""

    class card:
        seconds = 7.0
        note = "teacher judge: 99.0% on val; recipe {}"

    def __init__(self, source=SOURCE):
        self.seen = []

    def lens(self, images):
        return images.float() / 255 - 0.3

    def model(self, images):
        self.seen.append(images)
        return F.adaptive_avg_pool2d(images, (3, 1)).mean(1).flatten(1)


@pytest.fixture
def judge(monkeypatch):
    made = Judge()
    monkeypatch.setattr(module, "_teacher", lambda source, name, student: made)
    return made


def make(spec, count=1, source=SOURCE, seed=0):
    rng = np.random.default_rng(seed)
    return methods.compress(source, registry.parse(spec), Budget(per_class=count), rng=rng)


def places(made):
    [note] = [n for n in made.card.notes if n.startswith("source row")]
    return [tuple(map(int, p.split(":"))) for p in note.split(": ")[1].split()]


@pytest.mark.parametrize("size", [(8, 8), (4, 4), (3, 5)])
def test_crops_are_antialiased_bilinear_resizes_of_their_boxes(size):
    images = tiny.source(size=12, channels=3).train.images[:5]
    found = random_crops(images, 3, size, scale_min=0.1, rng=np.random.default_rng(0))
    for i in range(5):
        for j in range(3):
            top, left, side = (
                int(part[i, j]) for part in (found.boxes.top, found.boxes.left, found.boxes.height)
            )
            cut = images[i : i + 1, :, top : top + side, left : left + side].float()
            wanted = F.interpolate(cut, size, mode="bilinear", antialias=True)[0]
            assert (found.images[i, j].float() - wanted).abs().max() <= 0.502


def test_crops_cover_the_range_of_areas():
    images = torch.zeros(200, 1, 20, 20, dtype=torch.uint8)
    sides = random_crops(
        images, 5, (10, 10), scale_min=0.25, rng=np.random.default_rng(1)
    ).boxes.height
    assert sides.min() == 10
    assert sides.max() == 20


def test_the_best_crop_of_each_image_and_the_best_images_are_kept(judge):
    made = make("rded(factor=2,candidates=0,crops=6)", 2)
    kept = places(made)
    losses = brute_force(6, 0)
    for label in range(3):
        ranked = sorted(losses[label], key=lambda found: found[0])[:8]
        wanted = [ranked[j + 2 * step][1] for j in range(2) for step in range(4)]
        assert kept[8 * label : 8 * label + 8] == wanted


def brute_force(crops, seed):
    """Loss and place of the best crop of every image, class by class, one at a time."""
    rng, judge, found = np.random.default_rng(seed), Judge(), []
    for label in range(3):
        rows = (SOURCE.train.labels == label).nonzero().flatten()
        rows = rows[torch.from_numpy(rng.permutation(8))]
        cut = random_crops(SOURCE.train.images[rows], crops, (4, 4), scale_min=0.08, rng=rng)
        best = []
        for i, row in enumerate(rows.tolist()):
            tried = []
            for j in range(crops):
                padded = torch.zeros(1, 1, 8, 8)
                padded[0, :, 2:6, 2:6] = judge.lens(cut.images[i, j])
                loss = -judge.model(padded).log_softmax(1)[0, label].item()
                b = cut.boxes
                tried.append(
                    (loss, (row, int(b.top[i, j]), int(b.left[i, j]), int(b.height[i, j])))
                )
            best.append(min(tried, key=lambda t: t[0]))
        found.append(best)
    return found


def test_tiles_are_laid_row_by_row(judge):
    made = make("rded(factor=2,candidates=0,crops=1,scale_min=1.0)")
    rows = [place[0] for place in places(made)][:4]
    shrunk = F.interpolate(
        SOURCE.train.images[rows].float(), (4, 4), mode="bilinear", antialias=True
    ).round()
    assert torch.equal(made.images[0, :, :4, 4:].float(), shrunk[1])
    assert torch.equal(made.images[0, :, 4:, :4].float(), shrunk[2])


def test_small_images_are_single_crops_by_default(judge):
    made = make("rded", 3)
    assert registry.parse(made.card.method).kwargs["factor"] == 1
    assert made.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(places(made)) == 9
    assert made.card.seconds >= 7
    assert made.card.bytes.teacher == 0


def test_candidates_limit_who_is_scored_but_never_below_the_need(judge):
    make("rded(candidates=5,crops=2)", 2)
    assert sum(map(len, judge.seen)) == 3 * 5 * 2
    judge.seen.clear()
    make("rded(candidates=1,crops=2)", 2)
    assert sum(map(len, judge.seen)) == 3 * 2 * 2


def test_the_same_seed_gives_the_same_set_and_another_seed_another(judge):
    assert make("rded", 2).digest == make("rded", 2).digest
    assert make("rded", 2).digest != make("rded", 2, seed=1).digest


def test_no_images_are_a_set_too(judge):
    assert len(make("rded(factor=2)", 0)) == 0


@pytest.mark.parametrize(
    ("spec", "count", "said"),
    [
        ("rded(factor=2)", 3, "need 12 images of class 'bar 0', but train holds 8"),
        ("rded(factor=3)", 1, "factor=3 does not divide"),
        ("rded(crops=0)", 1, "crops=0"),
        ("rded(candidates=-1)", 1, "candidates=-1"),
        ("rded(scale_min=0)", 1, "scale_min=0"),
        ("rded(teacher=abc)", 1, "no teacher abc"),
        ("rded(teacher=abc,student=convnet-2)", 1, "trained already"),
    ],
)
def test_mistakes_are_named(spec, count, said):
    with pytest.raises(HydrometerError, match=said):
        make(spec, count)


def test_the_briefly_trained_network_is_a_real_teacher():
    made = make("rded(candidates=3,crops=2)", 1, source=tiny.source(per_class=40, size=8))
    assert len(made) == 3
    assert re.match(r"teacher \w{20}: [\d.]+% on val; recipe \{", made.card.notes[0])


def test_the_network_may_be_a_named_one():
    source = tiny.source(per_class=40, size=8)
    narrow = "convnet(depth=2,norm=instance,width=8)"
    made = make(f"rded(candidates=3,crops=2,student={narrow})", 1, source=source)
    assert f'"student":"{narrow}"' in made.card.notes[0].replace(" ", "")
    assert f"student={narrow}" in made.card.method
