import numpy as np
import pytest
import torch

import tiny
from hydrometer.augment.dsa import DSA
from hydrometer.engine.data import Lens
from hydrometer.methods.match.images import begin, counts, student_for
from hydrometer.methods.match.journal import State
from hydrometer.methods.match.outer import Judge, checkpoints, refine
from hydrometer.methods.match.sampler import Sampler, arrange
from hydrometer.methods.match.siamese import Views
from hydrometer.types import Budget, HydrometerError, Spec


@pytest.mark.parametrize(
    ("iterations", "checks", "wanted"),
    [(10, 4, [3, 5, 8, 10]), (2, 4, [1, 2]), (7, 1, [7]), (7, 0, [])],
)
def test_checkpoints_end_with_the_last_iteration(iterations, checks, wanted):
    assert checkpoints(iterations, checks) == wanted


def run(values, checks):
    """Refine a state that counts iterations, judged by a list."""
    done = []

    def step(i):
        done.append(i)
        return 1.0

    def state():
        return State(torch.tensor([float(len(done))]))

    given = iter(values)
    return refine(step, state, lambda s: next(given), iterations=len(values), checks=checks)


def test_the_best_on_val_is_kept_and_the_later_of_equals():
    assert run([0.1, 0.5, 0.5, 0.2], 4).iteration == 3
    assert run([0.1, 0.5, 0.5, 0.2], 4).state.images == 3
    assert run([0.9, 0.5], 2).curve == ((1, 0.9), (2, 0.5))
    assert "kept 1" in run([0.9, 0.5], 2).notes[0]


def test_without_checks_the_last_is_kept():
    found = run([0.9, 0.5, 0.1], 0)
    assert (found.iteration, found.curve, found.notes) == (3, (), ())
    assert found.state.images == 3


def test_losses_that_are_not_finite_stop():
    with pytest.raises(HydrometerError, match="iteration 1"):
        refine(lambda i: float("nan"), lambda: State(torch.zeros(1)), None, iterations=2, checks=0)


def test_the_judge_prefers_real_images_to_noise():
    source = tiny.source()
    lens = Lens(source, None, tiny.CPU)
    rng = np.random.default_rng(0)
    real, noise = (begin(source, lens, [2, 2, 2], start, rng) for start in ("real", "noise"))
    judge = Judge(source, lens, real.labels, None)
    assert judge(State(real.pixels())) > judge(State(noise.pixels()))
    assert judge(State(real.pixels())) == judge(State(real.pixels()))


def test_arranged_rows_and_their_shares():
    layout = arrange([torch.tensor([4, 2, 7]), torch.tensor([1])])
    assert layout.rows.tolist() == [[4, 2, 7], [1, 1, 1]]
    torch.testing.assert_close(layout.share, torch.tensor([[1 / 3, 1 / 3, 1 / 3], [1, 0, 0]]))
    assert layout.mean(torch.ones(2, 3, 5)).tolist() == [[1.0] * 5] * 2


def test_batches_hold_distinct_images_of_their_class():
    source = tiny.source()
    lens = Lens(source, None, tiny.CPU)
    sampler = Sampler(source, lens, [2, 0], np.random.default_rng(0))
    images, layout = sampler.draw(7)
    assert images.shape == (2, 7, 1, 8, 8)
    for rows, seen, label in zip(layout.rows, images, (2, 0), strict=True):
        assert set(source.train.labels[rows].tolist()) == {label}
        assert len(rows.unique()) == 7
        assert torch.equal(seen, lens(source.train.images[rows]))
    assert sampler.draw(1000)[0].shape[1] == 20


def test_views_are_siamese_and_can_be_replayed():
    views = Views(True, np.random.default_rng(0), tiny.CPU)
    image = torch.rand(1, 1, 1, 8, 8)
    changed = 0
    for _ in range(12):
        draws = views.draw(1)
        one = views(image.expand(1, 3, -1, -1, -1), draws)
        other = views(image.expand(1, 5, -1, -1, -1), draws)
        assert torch.equal(one[0, 0], other[0, 4])
        assert torch.equal(
            one, DSA()(image.expand(1, 3, -1, -1, -1), draws.expand(1, 3, -1)).images
        )
        changed += not torch.equal(one[0, :1], image[0])
    assert changed > 6
    assert torch.equal(Views(False, views.rng, tiny.CPU)(image, draws), image)


def test_float_images_cost_four_bytes_a_pixel():
    source = tiny.source()
    assert counts(source, Budget(bytes=4 * 64 + 1)) == [1, 0, 0]
    assert counts(source, Budget(bytes=4 * (4 * 64 + 1) - 1)) == [1, 1, 1]
    assert counts(source, Budget(bytes=3 * (4 * 64 + 1 + 12)), soft=True) == [1, 1, 1]
    assert counts(source, Budget(per_class=5)) == [5, 5, 5]


@pytest.mark.parametrize("whiten", [None, Spec("zca")])
def test_a_canvas_of_real_images_is_those_images(whiten):
    source = tiny.source()
    canvas = begin(
        source, Lens(source, whiten, tiny.CPU), [1, 0, 2], "real", np.random.default_rng(3)
    )
    assert canvas.labels.tolist() == [0, 2, 2]
    assert canvas.classes == [0, 2]
    train = source.train.images.float() / 255
    for image in canvas.pixels():
        assert (train - image).abs().amax((1, 2, 3)).min() < 1e-4


def test_students_by_name_and_width():
    source = tiny.source()
    small = student_for(source, "", 0)
    assert str(small.spec) == "convnet(depth=2,norm=instance,width=32)"
    assert student_for(source, small.args["student"], small.args["width"]) == small
    assert str(student_for(tiny.source(size=32), "", 0).spec) == (
        "convnet(depth=3,norm=instance,width=128)"
    )
    with pytest.raises(HydrometerError, match="width"):
        student_for(source, "lenet", 8)
