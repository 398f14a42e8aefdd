import dataclasses
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from hydrometer import digest
from hydrometer.engine import capture
from hydrometer.engine.loop import Cohort, Job, cuts, train
from hydrometer.methods import passes, recording
from hydrometer.methods.recording import record, windows
from hydrometer.methods.select.dual import dual_scores
from hydrometer.methods.stream import FIELDS, LAST, Recorder, bytes_needed, measures, shift
from hydrometer.types import HydrometerError, Trial

SOURCE = tiny.source(classes=3, per_class=10)
EPOCHS = 3


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One recording of two runs for the tests that only look."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDROMETER_CACHE", str(tmp_path_factory.mktemp("recorded")))
        yield record(SOURCE, runs=2, epochs=EPOCHS)


def softmax(row):
    top = max(row)
    powers = [math.exp(z - top) for z in row]
    return [p / sum(powers) for p in powers]


def test_measures_agree_with_a_loop_over_images():
    logits = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)) * 4
    labels = torch.arange(40) % 5
    found = measures(logits, labels)
    for i, (row, y) in enumerate(zip(logits.double().tolist(), labels.tolist(), strict=True)):
        p = softmax(row)
        others = [c for c in range(5) if c != y]
        error = math.sqrt(sum((p[c] - (c == y)) ** 2 for c in range(5)))
        assert found["loss"][i] == pytest.approx(-math.log(p[y]), rel=1e-4, abs=1e-6)
        assert found["best_other"][i] == pytest.approx(max(p[c] for c in others), rel=1e-4)
        assert found["error_norm"][i] == pytest.approx(error, rel=1e-4, abs=1e-6)
        assert found["margin"][i] == pytest.approx(row[y] - max(row[c] for c in others), rel=1e-4)
        assert found["correct"][i] == (row.index(max(row)) == y)


def test_the_error_of_a_sure_image_keeps_its_digits():
    logits = torch.tensor([[20.0, 0.0]])
    found = measures(logits, torch.tensor([0]))
    assert found["error_norm"].item() == pytest.approx(math.sqrt(2) * math.exp(-20), rel=1e-3)


def test_shift_agrees_with_a_loop():
    generator = torch.Generator().manual_seed(1)
    now, before = (torch.randn(6, 4, generator=generator).softmax(1).log() for _ in range(2))
    for i, value in enumerate(shift(now, before).tolist()):
        pairs = zip(now[i].exp().tolist(), before[i].exp().tolist(), strict=True)
        assert value == pytest.approx(sum(abs(p * math.log(p / q)) for p, q in pairs), rel=1e-4)


def test_the_recorder_streams_to_disk_and_knows_its_size(tmp_path):
    logits = torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(50) % 3
    with Recorder(tmp_path, images=50, epochs=4, classes=3) as recorder:
        for epoch in range(4):
            for start in range(0, 50, 16):
                rows = slice(start, start + 16)
                recorder.feed(epoch, start, logits[epoch, rows], labels[rows])
    for name in LAST:
        (tmp_path / name).unlink()
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) == bytes_needed(50, 4)
    log_p = logits.log_softmax(-1)
    moved = shift(log_p[1:].flatten(0, 1), log_p[:-1].flatten(0, 1)).view(3, 50)
    assert np.allclose(np.load(tmp_path / "shift.npy")[1:], moved, rtol=2e-2, atol=2e-3)
    assert np.load(tmp_path / "shift.npy")[0].max() == 0
    assert np.allclose(np.load(tmp_path / "loss.npy")[2], measures(logits[2], labels)["loss"], 1e-3)


def test_imagenet_at_sixty_epochs_stays_under_a_gigabyte():
    assert bytes_needed(1_281_167, 60) < 10**9


def test_a_record_is_of_clean_passes_after_each_epoch(shared):
    trace = shared.traces[1]
    data = tiny.whole(SOURCE)
    how = recording.recipe(SOURCE, EPOCHS)
    lens, _ = tiny.lens_and_exams(SOURCE)
    cohort = Cohort([Job(Trial(data.digest, SOURCE.digest, how, 1), data)], SOURCE, lens, ())
    seen = []
    train(
        cohort,
        on_epoch=lambda _, program: seen.append(program.logits(cohort.images[0].images)[0].clone()),
    )
    expected = [measures(logits, SOURCE.train.labels) for logits in seen]
    for name in set(FIELDS) - {"shift"}:
        truth = torch.stack([e[name] for e in expected]).double().numpy()
        assert trace.read(name, slice(None)) == pytest.approx(truth, rel=2e-3, abs=2e-3), name
    assert trace.card.passes == "clean evaluation passes"


def test_every_score_reads_one_and_the_same_run(monkeypatch):
    first = record(SOURCE, epochs=2)
    monkeypatch.setattr(recording, "_run", lambda *_: pytest.fail("trained again"))
    again = record(SOURCE, epochs=2)
    assert again.seconds == first.seconds > 0
    for name in FIELDS:
        assert (again.traces[0].arrays[name] == first.traces[0].arrays[name]).all()
        assert isinstance(again.traces[0].arrays[name], np.memmap)


def test_another_run_keeps_the_first(monkeypatch):
    record(SOURCE, runs=1, epochs=1)
    made = []
    real = recording._run
    monkeypatch.setattr(recording, "_run", lambda *a: made.append(a[2]) or real(*a))
    record(SOURCE, runs=3, epochs=1)
    assert made == [1, 2]


def killed_after(monkeypatch, epochs):
    """Die in the middle of the pass after the given epochs, as a power cut does: nothing cleans up."""
    real = Recorder.feed

    def feed(self, epoch, first, logits, labels):
        if epoch == epochs:
            raise KeyboardInterrupt
        real(self, epoch, first, logits, labels)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "feed", feed)
        with pytest.raises(KeyboardInterrupt):
            record(SOURCE, epochs=3)


def killed_at_feed(monkeypatch, number, **how):
    """The same in the middle of a pass: nothing of feed `number`, counted from 0, is written."""
    fed, real = [], Recorder.feed

    def feed(self, *args):
        if len(fed) == number:
            raise KeyboardInterrupt
        fed.append(real(self, *args))

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "feed", feed)
        with pytest.raises(KeyboardInterrupt):
            record(SOURCE, epochs=3, **how)


def set_aside(tmp_path):
    (done,) = (p for p in (tmp_path / "recordings").iterdir() if p.is_dir())
    done.rename(tmp_path / "aside")


@pytest.mark.parametrize("epochs", [0, 1, 2])
def test_a_killed_run_goes_on_and_gives_the_same_record(monkeypatch, tmp_path, epochs):
    whole = record(SOURCE, epochs=3).traces[0]
    set_aside(tmp_path)
    killed_after(monkeypatch, epochs)
    trained = []
    real = recording.train
    monkeypatch.setattr(
        recording, "train", lambda *a, **k: trained.append(k["first"]) or real(*a, **k)
    )
    again = record(SOURCE, epochs=3).traces[0]
    assert trained == [epochs]
    assert all((again.arrays[name] == whole.arrays[name]).all() for name in FIELDS)
    assert again.card.seconds > 0
    assert {f.suffix for f in (tmp_path / "recordings").iterdir()} == {""}
    (made,) = (p for p in (tmp_path / "recordings").iterdir() if p.is_dir())
    assert {f.name for f in made.iterdir()} == {"card.json", *(f"{name}.npy" for name in FIELDS)}


@pytest.mark.parametrize("kind", ["clean", "augmented"])
@pytest.mark.parametrize("number", [3, 5])
def test_a_run_killed_within_a_pass_gives_the_same_record(monkeypatch, tmp_path, kind, number):
    monkeypatch.setattr(passes, "exam_batch", lambda *_: 16)
    real = recording.recipe
    monkeypatch.setattr(recording, "recipe", lambda *a: dataclasses.replace(real(*a), batch=16))
    whole = record(SOURCE, epochs=3, passes=kind).traces[0]
    set_aside(tmp_path)
    killed_at_feed(monkeypatch, number, passes=kind)
    again = record(SOURCE, epochs=3, passes=kind).traces[0]
    assert all((again.arrays[name] == whole.arrays[name]).all() for name in FIELDS)
    assert (again.arrays["shift"][1:] > 0).any(1).all()


def test_augmented_passes_are_those_of_training():
    trace = record(SOURCE, epochs=EPOCHS, passes="augmented").traces[0]
    data, how = tiny.whole(SOURCE), recording.recipe(SOURCE, EPOCHS, "augmented")
    lens, _ = tiny.lens_and_exams(SOURCE)
    cohort = Cohort([Job(Trial(data.digest, SOURCE.digest, how, 0), data)], SOURCE, lens, ())
    student, truth = cohort.program(), np.zeros((len(FIELDS) - 1, EPOCHS, len(data)))
    names = sorted(set(FIELDS) - {"shift"})
    for batch in cohort.batches():
        step, rows = batch.progress.step, batch.rows[0]
        images, target = cohort.view(batch, cohort.draws(step, 1)[:, 0])
        student.model.train()
        found = measures(student.model(images[0]).detach(), SOURCE.train.labels[rows])
        truth[:, batch.progress.epoch, rows] = [found[name].numpy() for name in names]
        student.step(images, target, cohort.rate(batch.progress))
    assert how.augment
    for name, values in zip(names, truth, strict=True):
        assert trace.read(name, slice(None)) == pytest.approx(values, rel=2e-3, abs=2e-3), name


def test_augmented_passes_are_heard_where_gradients_are_recorded(monkeypatch, tmp_path):
    """As on an accelerator, where a replay does not call the model."""
    known = record(SOURCE, epochs=2, passes="augmented").traces[0].arrays
    asked = []

    def recorder(compute):
        asked.append(compute())
        return lambda: None, asked[-1]

    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(capture, "recorder", lambda device: recorder)
    again = record(SOURCE, epochs=2, passes="augmented").traces[0].arrays
    assert not asked
    assert all((known[name] == again[name]).all() for name in FIELDS)
    with pytest.warns(UserWarning, match="other gradients"):
        record(SOURCE, epochs=2)
    assert asked


def test_records_say_which_passes_they_are_of(shared):
    clean, augmented = shared, record(SOURCE, epochs=1, passes="augmented")
    assert "clean evaluation passes" in clean.note
    assert "train-mode augmented passes" in augmented.note
    assert augmented.traces[0].card.passes != clean.traces[0].card.passes
    with pytest.raises(
        HydrometerError, match="passes 'dirty' are unknown; known: clean, augmented"
    ):
        record(SOURCE, passes="dirty")


def test_clean_runs_keep_the_place_they_had_before_there_were_others(tmp_path):
    record(SOURCE, epochs=1)
    how = digest.of(recording.recipe(SOURCE, 1))
    key = digest.of([recording.LAYOUT, SOURCE.digest, how, 0])
    assert (tmp_path / "recordings" / key / "card.json").is_file()


@pytest.mark.parametrize("images", [1, 128, 129, 127 * 128 + 1])
def test_augmented_passes_hear_every_image(images):
    batch = recording._batch(images)
    assert sum(part.stop - part.start for part in cuts(images, batch)) == images


@pytest.mark.parametrize("file", ["loss.npy", "state.safetensors", "last-1.npy"])
def test_a_damaged_draft_is_begun_again(monkeypatch, tmp_path, file):
    whole = record(SOURCE, epochs=3).traces[0]
    set_aside(tmp_path)
    killed_after(monkeypatch, 2)
    (draft,) = (tmp_path / "recordings").glob("*.part")
    (draft / file).write_bytes((draft / file).read_bytes()[:-40])
    again = record(SOURCE, epochs=3).traces[0]
    assert all((again.arrays[name] == whole.arrays[name]).all() for name in FIELDS)


def test_two_processes_make_one_record(tmp_path):
    code = (
        "import tiny; from hydrometer.methods.recording import record;"
        "print(record(tiny.source(classes=3, per_class=10), epochs=2).seconds)"
    )
    here = Path(tiny.__file__).parent
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=here, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    first, second = (process.communicate()[0] for process in both)
    assert first == second != b""


def test_memory_does_not_grow_with_the_images_or_the_epochs(tmp_path):
    """60 epochs of four blocks of images: what ImageNet-1K would hold at a time, in 80 blocks."""
    count, epochs = 4 * recording.BLOCK, 60
    generator = np.random.default_rng(0)
    labels = torch.arange(256) % 10
    tracemalloc.start()
    with Recorder(tmp_path, count, epochs, 10) as recorder:
        for epoch in range(epochs):
            for first in range(0, count, count // 8):
                logits = torch.from_numpy(generator.standard_normal((256, 10), np.float32))
                recorder.feed(epoch, first, logits, labels)
    streamed = tracemalloc.get_traced_memory()[1]
    arrays = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in FIELDS}
    card = recording.TraceCard(
        source="", source_digest="", recipe="", seed=0, images=count, epochs=epochs, seconds=1.0
    )
    made = recording.Recording((recording.Trace(card, arrays),))
    tracemalloc.reset_peak()
    made.score(lambda p: dual_scores(p), "label_probability")
    scored = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert streamed < 10e6
    assert scored < 400e6


@pytest.mark.parametrize("damage", ["truncate", "remove", "card"])
def test_a_damaged_run_is_recorded_again(tmp_path, damage):
    before = {k: v.copy() for k, v in record(SOURCE, epochs=1).traces[0].arrays.items()}
    (folder,) = (p for p in (tmp_path / "recordings").iterdir() if p.is_dir())
    if damage == "truncate":
        (folder / "loss.npy").write_bytes((folder / "loss.npy").read_bytes()[:-10])
    elif damage == "remove":
        (folder / "margin.npy").unlink()
    else:
        (folder / "card.json").write_text("{}")
    after = record(SOURCE, epochs=1).traces[0].arrays
    assert all((after[name] == before[name]).all() for name in FIELDS)


def test_old_drafts_are_swept_and_fresh_ones_left(tmp_path, monkeypatch):
    stale, fresh = tmp_path / "recordings" / "a.1.part", tmp_path / "recordings" / "b.2.part"
    for folder in (stale, fresh):
        folder.mkdir(parents=True)
        (folder / "loss.npy").write_bytes(b"")
    ages = {stale: 2 * recording.STALE_SECONDS, fresh: 60}
    for folder, age in ages.items():
        then = (folder / "loss.npy").stat().st_mtime - age
        os.utime(folder / "loss.npy", (then, then))
    record(SOURCE, epochs=1)
    assert not stale.exists()
    assert fresh.exists()


def test_scores_are_means_over_runs_in_blocks(shared, monkeypatch):
    monkeypatch.setattr(recording, "BLOCK", 7)
    found = shared.score(lambda a, b: (a * b).max(0), "loss", "label_probability")
    runs = [t.arrays["loss"].astype(float) for t in shared.traces]
    assert found == pytest.approx(sum((x * np.exp(-x)).max(0) for x in runs) / 2)
    assert shared.seconds == sum(t.card.seconds for t in shared.traces)
    assert "2 runs" in shared.note
    assert "3 epochs" in shared.note


def test_windows_are_all_stretches_or_the_whole():
    values = np.arange(12.0).reshape(4, 3)
    assert windows(values, 2).shape == (3, 3, 2)
    assert windows(values, 2)[1, 2].tolist() == [5, 8]
    assert windows(values, 9).shape == (1, 3, 4)


def test_recording_leaves_the_global_random_state_alone():
    state = torch.get_rng_state().clone(), np.random.get_state()[1].copy()  # noqa: NPY002
    record(SOURCE, epochs=1)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()  # noqa: NPY002


def test_mistakes_are_named(monkeypatch):
    with pytest.raises(HydrometerError, match="runs is 0"):
        record(SOURCE, runs=0)
    with pytest.raises(HydrometerError, match="epochs is 0"):
        record(SOURCE, epochs=0)
    with pytest.raises(HydrometerError, match="a single class"):
        record(tiny.source(classes=1))


def test_a_diverged_run_is_refused_and_not_kept(monkeypatch, tmp_path):
    real = recording.recipe
    monkeypatch.setattr(recording, "recipe", lambda *a: dataclasses.replace(real(*a), lr=1e30))
    with pytest.raises(HydrometerError, match="diverged"):
        record(SOURCE, epochs=2)
    assert not [p for p in (tmp_path / "recordings").iterdir() if p.is_dir()]


def test_a_named_student_is_recorded_for_itself():
    usual = record(SOURCE, epochs=1).traces[0].card
    named = (
        record(SOURCE, epochs=1, student="convnet(depth=2,norm=instance,width=8)").traces[0].card
    )
    assert "width=8" in named.recipe and named.recipe != usual.recipe
    with pytest.raises(HydrometerError, match="convnte"):
        record(SOURCE, epochs=1, student="convnte-3")
