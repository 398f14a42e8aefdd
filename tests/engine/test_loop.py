import dataclasses
import sys
from types import SimpleNamespace

import pytest
import torch

import tiny
from hydrometer import seeds
from hydrometer.engine import data, loop
from hydrometer.engine.choice import PART
from hydrometer.engine.program import Average, Solo, Stack
from hydrometer.types import Spec

SOURCE = tiny.source()
LENS, EXAMS = tiny.lens_and_exams(SOURCE)
CUTMIX = (Spec("dsa"), Spec("cutmix"))


def trained(jobs):
    return loop.train(loop.Cohort(jobs, SOURCE, LENS, ()))


def run_all(jobs):
    return loop.run(jobs, SOURCE, LENS, lambda: EXAMS)


def test_a_student_learns_and_its_row_says_so():
    (run,) = run_all([tiny.job(SOURCE, epochs=30)])
    assert run.status == "done"
    assert run.test_accuracy > 0.9
    assert run.losses[-1] < run.losses[0] / 2
    assert run.steps == 30 * 2
    assert run.test_totals == (10, 10, 10)
    assert len(run.losses) <= loop.CURVE


def test_golden_losses():
    """The first losses of a tiny recipe, so that a silent change of draws or maths is seen.

    Tolerance: 1e-4 relative, which covers the rounding differences between processors.
    """
    _, losses = trained([tiny.job(SOURCE, augment=CUTMIX)])
    assert losses[[0, 5, -1], 0].tolist() == pytest.approx(GOLDEN, rel=1e-4)


GOLDEN = [1.120051, 0.895611, 0.683249]


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("augment", [(), CUTMIX])
def test_a_cohort_is_invisible_in_the_results(norm, augment):
    """Alone, in a stack of three, in another order: the same losses and weights to rounding."""
    student = Spec("convnet", (("depth", 2), ("norm", norm), ("width", 8)))
    jobs = [
        tiny.job(SOURCE, seed=s, lr=lr, student=student, augment=augment)
        for s, lr in ((0, 0.05), (1, 0.01), (2, 0.02))
    ]
    together, stacked = trained(jobs)
    _, reversed_ = trained(jobs[::-1])
    assert isinstance(together, Stack)
    for k, job in enumerate(jobs):
        alone, losses = trained([job])
        assert isinstance(alone, Solo)
        torch.testing.assert_close(losses[:, 0], stacked[:, k], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(reversed_[:, 2 - k], stacked[:, k], rtol=1e-3, atol=1e-4)
        images = EXAMS[1].images
        torch.testing.assert_close(
            alone.logits(images)[0], together.logits(images)[k], rtol=5e-3, atol=5e-3
        )


@pytest.mark.parametrize(("norm", "steps_alike"), [("instance", True), ("batch", False)])
def test_a_batch_in_parts_takes_the_same_step(norm, steps_alike):
    """Only where images of a batch do not mix, which is why batch norm is never taken in parts."""
    student = Spec("convnet", (("depth", 2), ("norm", norm), ("width", 8)))
    cohort = loop.Cohort([tiny.job(SOURCE, student=student, augment=CUTMIX)], SOURCE, LENS, ())
    images, target = cohort.view(next(cohort.batches()), cohort.draws(0, 1)[:, 0])
    whole, parted = cohort.program(), cohort.program()
    assert (whole.held == PART) == steps_alike
    whole.held, parted.held = sys.maxsize, 7
    losses = [program.step(images, target, [0.1]) for program in (whole, parted)]
    for one, other in zip((losses[0], *whole.params), (losses[1], *parted.params), strict=True):
        if steps_alike:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert torch.allclose(losses[0], losses[1], rtol=1e-4) == steps_alike


def test_students_of_one_cohort_may_have_sets_of_their_own():
    jobs = [tiny.job(SOURCE, seed=0), tiny.job(SOURCE, seed=0, rows=range(1, 60, 4))]
    _, stacked = trained(jobs)
    for k, job in enumerate(jobs):
        torch.testing.assert_close(trained([job])[1][:, 0], stacked[:, k], rtol=1e-3, atol=1e-4)


def test_a_diverged_student_is_recorded_and_the_others_go_on():
    jobs = [tiny.job(SOURCE, lr=0.05), tiny.job(SOURCE, lr=1e30)]
    good, bad = run_all(jobs)
    assert bad.status == "diverged"
    assert bad.diverged_step is not None
    assert 0 < bad.diverged_step < 5
    assert sum(bad.test_hits) == 0
    assert good.status == "done"
    assert good.test_hits == run_all([jobs[0]])[0].test_hits


def test_a_student_alone_that_diverges_stops_early():
    (run,) = run_all([tiny.job(SOURCE, lr=1e30, epochs=500)])
    assert run.status == "diverged"
    assert run.steps <= loop.CHUNK


def test_training_leaves_global_randomness_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    run_all([tiny.job(SOURCE, augment=CUTMIX)])
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_same_trial_gives_the_same_row():
    first, second = (run_all([tiny.job(SOURCE, augment=CUTMIX)])[0] for _ in range(2))
    keep = {"seconds"}
    assert first.model_dump(exclude=keep) == second.model_dump(exclude=keep)


def test_weights_of_a_set_count():
    """A weight of zero is the same as not having the image, batch by batch."""
    job = tiny.job(SOURCE, batch=64)
    keep = torch.arange(len(job.data)) < 9
    weighted = dataclasses.replace(job.data, weights=keep.float())
    fewer = dataclasses.replace(
        job.data, images=job.data.images[keep], labels=job.data.labels[keep]
    )
    _, a = trained([dataclasses.replace(job, data=weighted)])
    _, b = trained([dataclasses.replace(job, data=fewer)])
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_given_labels_that_say_the_class_train_like_hard_ones():
    job = tiny.job(SOURCE)
    soft = 50.0 * torch.nn.functional.one_hot(job.data.labels, 3).float()
    given = dataclasses.replace(job.trial.recipe, labels="given", loss=Spec("soft-cross-entropy"))
    taught = loop.Job(
        dataclasses.replace(job.trial, recipe=given), dataclasses.replace(job.data, soft=soft)
    )
    torch.testing.assert_close(trained([taught])[1], trained([job])[1], rtol=1e-4, atol=1e-5)


def test_a_teacher_sees_the_views_the_student_sees():
    """A teacher equal to a fixed linear map is asked about exactly the augmented batch."""
    asked = []

    def teacher(images):
        asked.append(images)
        return images.flatten(1)[:, :3]

    job = tiny.job(SOURCE, labels="teacher", loss=Spec("kl"), teacher=("x",), augment=CUTMIX)
    cohort = loop.Cohort([job], SOURCE, LENS, [teacher])
    batch = next(cohort.batches())
    images, target = cohort.view(batch, cohort.draws(0, 1)[:, 0])
    assert torch.equal(asked[0], images[0])
    assert torch.equal(target.soft, target.partner_soft)
    assert torch.equal(target.soft[0], images[0].flatten(1)[:, :3])


def test_the_average_is_warmed_up_and_then_decays():
    """By hand: decays min(0.25, 2/11), then 0.25 from the second update on (3/12)."""
    weight = torch.tensor([0.0])
    average = Average([weight], 0.25)
    expected = 0.0
    for step, decay in enumerate((2 / 11, 0.25, 0.25), start=1):
        weight.fill_(float(step))
        average.update([weight])
        expected = decay * expected + (1 - decay) * step
    assert float(average.params[0]) == pytest.approx(expected)


def test_fixed_labels_are_the_teachers_on_the_plain_images():
    def teacher(images):
        return images.flatten(1)[:, :3]

    job = tiny.job(SOURCE, labels="fixed", loss=Spec("kl"), teacher=("x",), augment=CUTMIX)
    cohort = loop.Cohort([job], SOURCE, LENS, [teacher])
    batch = next(cohort.batches())
    _, target = cohort.view(batch, cohort.draws(0, 1)[:, 0])
    plain = cohort.images[0][batch.rows[0]].flatten(1)[:, :3]
    assert torch.equal(target.soft[0], plain)
    assert not torch.equal(target.soft, target.partner_soft)


def test_a_student_that_diverges_in_its_last_step_is_not_done():
    (run,) = run_all([tiny.job(SOURCE, lr=1e18, epochs=1, batch=64)])
    assert run.status == "diverged"
    assert run.diverged_step == 0
    assert run.test_accuracy == 0


def test_weight_averaging_tests_the_average():
    plain, averaged = tiny.job(SOURCE, lr=0.1), tiny.job(SOURCE, lr=0.1, average=0.99)
    (a, la), (b, lb) = trained([plain]), trained([averaged])
    assert torch.equal(la, lb)
    images = EXAMS[1].images
    assert not torch.allclose(a.logits(images), b.logits(images))


@pytest.mark.parametrize(
    ("size", "batch", "expected"), [(10, 4, [4, 4, 2]), (9, 4, [4, 4]), (1, 4, [1]), (3, 8, [3])]
)
def test_batches_cover_an_epoch(size, batch, expected):
    assert [cut.stop - cut.start for cut in loop.cuts(size, batch)] == expected


def test_every_epoch_visits_every_image_once():
    cohort = loop.Cohort([tiny.job(SOURCE, seed=s) for s in (0, 1)], SOURCE, LENS, ())
    batches = list(cohort.batches())
    first = torch.cat([b.rows for b in batches if b.progress.epoch == 0], 1)
    second = torch.cat([b.rows for b in batches if b.progress.epoch == 1], 1)
    for rows in (first[0], first[1], second[0]):
        assert rows.sort().values.tolist() == list(range(15))
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], first[1])


def test_hits_count_per_class():
    program, _ = trained([tiny.job(SOURCE, epochs=2)])
    found = loop.hits(program, EXAMS[1], SOURCE.test.labels, 3)
    right = program.logits(EXAMS[1].images)[0].argmax(-1) == SOURCE.test.labels
    assert found[0].tolist() == [int(right[SOURCE.test.labels == c].sum()) for c in range(3)]


def test_hits_of_a_cohort_are_those_of_each_student():
    jobs = [tiny.job(SOURCE, seed=s, lr=lr, epochs=3) for s, lr in ((0, 0.05), (1, 0.0))]
    together, _ = trained(jobs)
    found = loop.hits(together, EXAMS[1], SOURCE.test.labels, 3)
    for k, job in enumerate(jobs):
        alone, _ = trained([job])
        assert torch.equal(found[k], loop.hits(alone, EXAMS[1], SOURCE.test.labels, 3)[0])
    assert not torch.equal(found[0], found[1])


def test_an_exam_asks_a_cohort_no_more_than_training_does():
    assert loop.exam_batch((3, 32, 32), 1) == 256
    assert loop.exam_batch((3, 32, 32), 256) == 32
    assert loop.exam_batch((3, 224, 224), 256) == 16


def test_sets_of_unlike_types_are_read_one_by_one():
    """Sets of one type are one tensor, of which each stays a view; the images are the same."""
    plain = tiny.job(SOURCE)
    other = tiny.job(SOURCE, seed=1, rows=range(1, 60, 4))
    pixels = dataclasses.replace(other.data, images=other.data.images.float() / 255)
    alike = loop.Cohort([plain, other, plain], SOURCE, LENS, ())
    unlike = loop.Cohort([plain, dataclasses.replace(other, data=pixels)], SOURCE, LENS, ())
    rows = torch.tensor([[3, 1], [0, 4], [2, 2]])
    assert alike.pool.images.shape[0] == 30
    for cohort, count in ((alike, 3), (unlike, 2)):
        expected = torch.stack([cohort.images[i][rows[k]] for k, i in enumerate(cohort.which)])
        assert torch.equal(cohort._gather(rows[:count]), expected)
    assert alike.images[1].images.data_ptr() != alike.images[0].images.data_ptr()


def test_a_whitening_moves_whole_to_a_device():
    """ZCA's matrices would else be copied for every batch; constants of channels need no move."""
    meta = torch.device("meta")
    zca = data.fit(SOURCE, Spec("zca"))
    there = data.moved(zca, meta)
    assert {there.mean.device, there.matrix.device, there.inverse.device} == {meta}
    scaling = data.fit(SOURCE, Spec("normalise"))
    assert data.moved(scaling, meta) is scaling


def test_orders_are_the_same_epoch_by_epoch_and_together():
    """Against draws of one epoch at a time, in another order of epochs."""
    job = tiny.job(SOURCE, epochs=70)
    cohort = loop.Cohort([job], SOURCE, LENS, ())
    for epoch in (69, 0, 31, 32, 64):
        u = seeds.uniform([seeds.key(0, "order")], epoch, 1, 15)[:, 0]
        batches = list(cohort.epoch(epoch))
        assert torch.equal(torch.cat([b.rows for b in batches], 1), u.argsort(dim=-1, stable=True))


def shown(cohort, epoch_count):
    """Which tile every image showed in each epoch, (epochs, n), of the first student."""
    tiles = torch.full((epoch_count, cohort.size), -1)
    for batch in cohort.batches():
        draws = torch.full((len(cohort.jobs), cohort.recipe.batch, cohort.pipeline.draws), 0.999)
        turned = cohort._turned(batch, draws[:, : batch.rows.shape[1]])
        tiles[batch.progress.epoch, batch.rows[0]] = (turned[0, :, 0] * 4).long()
        assert (turned[..., 1:] == draws[0, 0, 1]).all()
    return tiles


def test_a_cycle_shows_every_tile_once_before_any_returns():
    cycle = (Spec("tile-crop", (("factor", 2), ("tile", "cycle"))), Spec("flip"))
    jobs = [tiny.job(SOURCE, seed=s, augment=cycle, epochs=8) for s in (0, 1)]
    cohort = loop.Cohort(jobs, SOURCE, LENS, ())
    tiles = shown(cohort, 8)
    for turn in (tiles[:4], tiles[4:]):
        assert (turn.sort(0).values == torch.arange(4)[:, None]).all()
    assert not torch.equal(tiles[:4], tiles[4:])
    assert len({tuple(column) for column in tiles.T.tolist()}) > 4
    alone = loop.Cohort(jobs[:1], SOURCE, LENS, ())
    assert torch.equal(shown(alone, 8), tiles)
    other = loop.Cohort(jobs[1:], SOURCE, LENS, ())
    assert not torch.equal(shown(other, 8), tiles)


def test_independent_tiles_leave_the_draws_alone():
    jobs = [tiny.job(SOURCE, augment=(Spec("tile-crop"),))]
    cohort = loop.Cohort(jobs, SOURCE, LENS, ())
    draws = torch.rand(1, 8, cohort.pipeline.draws)
    assert cohort._turned(next(cohort.batches()), draws) is draws


def test_the_host_knows_the_draws_of_a_bank_s_views():
    jobs = [tiny.job(SOURCE, seed=s, augment=(Spec("dsa"),), epochs=7) for s in (0, 1)]
    bank = SimpleNamespace(card=SimpleNamespace(epochs=3, seed=9))
    cohort = loop.Cohort(jobs, SOURCE, LENS, (), bank)
    for step, batch in enumerate(cohort.batches()):
        drawn = cohort.draws(step, 1)[:, 0]
        assert torch.equal(cohort._first(batch, drawn.to("meta")), drawn[:, 0])


@pytest.mark.parametrize("epochs", [3, 90])
def test_the_host_knows_the_draws_that_decide_for_a_batch(epochs):
    jobs = [
        tiny.job(SOURCE, seed=s, augment=(Spec("flip"), Spec("dsa")), epochs=epochs) for s in (0, 1)
    ]
    cohort = loop.Cohort(jobs, SOURCE, LENS, ())
    for batch in cohort.batches():
        drawn = cohort.draws(batch.view, 1)[:, 0]
        told = cohort._first(batch, drawn.to("meta"))
        assert torch.equal(told, drawn[:, 0])


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_a_student_goes_on_as_if_it_had_never_stopped(optimiser):
    jobs = [tiny.job(SOURCE, augment=CUTMIX, optimiser=Spec(optimiser), lr=0.01)]
    kept = {}

    def keep(epoch, program):
        if epoch == 2:
            kept.update(program.state())

    cohort = loop.Cohort(jobs, SOURCE, LENS, ())
    _, losses = loop.train(cohort, on_epoch=keep)
    student = cohort.program()
    student.resume(kept, steps=6)
    _, rest = loop.train(cohort, program=student, first=3)
    assert torch.equal(rest, losses[6:])
