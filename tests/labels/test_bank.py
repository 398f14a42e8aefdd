import dataclasses
import json

import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer import protocols, seeds, students, verdict
from hydrometer.engine import loop
from hydrometer.execute import Silent
from hydrometer.execute import relabel as writer
from hydrometer.execute.lab import Lab
from hydrometer.execute.relabel import Form, relabel
from hydrometer.labels.shards import CARD, decode, encode, open_bank
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Spec

SOURCE = tiny.source()
MIXED = (Spec("dsa"), Spec("cutmix", (("per_batch", True),)))
TILES = (Spec("tile-crop", (("factor", 2), ("tile", "cycle"))), Spec("flip"))
"""Each image shows each of its four tiles once in four epochs."""
STUDENT = Spec("convnet", (("depth", 2), ("norm", "batch"), ("width", 8)))
HOW = {
    "student": STUDENT,
    "labels": "teacher",
    "loss": Spec("kl"),
    "teacher": ("t",),
    "augment": MIXED,
    "epochs": 5,
    "batch": 4,
}


class FixedLab(Lab):
    """A lab with one teacher that needs no training, and remembers which views it was asked about."""

    def __init__(self, rounded=False):
        super().__init__(SOURCE, tiny.CPU)
        self.asked, self.rounded = [], rounded
        self.model = students.create(STUDENT, SOURCE.shape, 3, seeds.key(9, "teacher")).eval()

    def teachers(self, names, student, labels="teacher"):
        def answer(images):
            self.asked.append(images.clone())
            with torch.no_grad():
                logits = 5 * self.model(images)
            return logits.half().float() if self.rounded else logits

        return [answer] if names else []


def job(seed=0, **changes):
    # 13 rows in batches of 4: the last, of one image, is left out.
    return tiny.job(SOURCE, tiny.recipe(**HOW | changes), seed, rows=range(0, 52, 4))


def from_bank(bank, seed=0, **changes):
    return job(seed, labels="bank", teacher=(), bank=bank.contents.digest, **changes)


def write(folder, form=None, lab=None, **changes):
    found = job(**changes)
    return relabel(found.data, found.trial.recipe, lab or FixedLab(), folder, form=form)


def train(one, lab, bank=None):
    lens = lab.lens(None)
    teachers = lab.teachers(one.trial.recipe.teacher, lens)
    return loop.train(loop.Cohort([one], SOURCE, lens, teachers, bank))


def test_a_student_of_the_bank_is_bit_for_bit_that_of_a_teacher_who_answers_in_fp16(tmp_path):
    bank = write(tmp_path / "b")
    taught, online = train(from_bank(bank), FixedLab(), bank), train(job(), FixedLab(rounded=True))
    assert torch.equal(taught[1], online[1])
    for one, other in zip(taught[0].params, online[0].params, strict=True):
        assert torch.equal(one, other)


def test_a_student_of_the_bank_is_that_of_the_online_teacher_to_the_rounding_of_fp16(tmp_path):
    """SGD passes the rounding on without blowing it up: 1e-3 of logits is 1e-3 of weights here."""
    bank = write(tmp_path / "b")
    (taught, _), (online, _) = train(from_bank(bank), FixedLab(), bank), train(job(), FixedLab())
    for one, other in zip(taught.params, online.params, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("augment", [MIXED, TILES])
def test_replay_shows_the_views_the_teacher_labelled(tmp_path, augment):
    """Nothing of boxes, flips, partners or shares is stored; the same pixels come out of the seed."""
    lab = FixedLab()
    bank = write(tmp_path / "b", lab=lab, augment=augment)
    cohort = loop.Cohort(
        [from_bank(bank, seed=7, augment=augment)], SOURCE, lab.lens(None), (), bank
    )
    draws = cohort.draws(0, 15)
    seen = [cohort.view(batch, draws[:, i])[0][0] for i, batch in enumerate(cohort.batches())]
    assert len(seen) == len(lab.asked) == 15
    assert all(torch.equal(a, b) for a, b in zip(seen, lab.asked, strict=True))


def test_students_of_a_bank_differ_in_their_initialisation_alone(tmp_path):
    bank = write(tmp_path / "b")
    jobs = [from_bank(bank, seed=s) for s in (0, 7)]
    cohort = loop.Cohort(jobs, SOURCE, FixedLab().lens(None), (), bank)
    images, target = cohort.view(next(cohort.batches()), cohort.draws(0, 1)[:, 0])
    assert torch.equal(images[0], images[1])
    assert torch.equal(target.soft[0], target.soft[1])
    assert not torch.equal(cohort.program().params[0][0], cohort.program().params[0][1])


@pytest.mark.parametrize("augment", [MIXED, TILES])
def test_fewer_epochs_are_cycled_views_and_labels_together(tmp_path, augment):
    """A bank of two epochs holds two of each image's four tiles, and students see no others."""
    bank = write(tmp_path / "b", Form(epochs=2), augment=augment)
    lab = FixedLab()
    cohort = loop.Cohort([from_bank(bank, 7, augment=augment)], SOURCE, lab.lens(None), (), bank)
    draws = cohort.draws(0, 15)
    found = [cohort.view(batch, draws[:, i]) for i, batch in enumerate(cohort.batches())]
    [teacher] = lab.teachers(("t",), None)
    for i, (images, target) in enumerate(found):
        assert torch.equal(images, found[i % 6][0])
        torch.testing.assert_close(target.soft[0], teacher(images[0]), rtol=1e-3, atol=1e-3)
    assert not torch.equal(found[0][0], found[3][0])


def test_a_bank_of_cycling_tiles_shows_every_tile_once_and_then_again(tmp_path):
    """The tiles themselves: four epochs are one cycle, the fifth begins another order of it."""
    bank = write(tmp_path / "b", augment=TILES)
    cohort = loop.Cohort(
        [from_bank(bank, 7, augment=TILES)], SOURCE, FixedLab().lens(None), (), bank
    )
    shown = torch.zeros(5, 13, dtype=torch.int64)
    draws = cohort.draws(0, 15)
    for i, batch in enumerate(cohort.batches()):
        turned = cohort._turned(batch, draws[:, i, : batch.rows.shape[1]])
        shown[i // 3, batch.rows[0]] = 1 + (turned[0, :, 0] * 4).long()
    for image in range(13):
        seen = [int(tile) for tile in shown[:4, image] if tile]
        assert len(set(seen)) == len(seen)
    assert (shown > 0).sum() == 5 * 12


def test_draws_wrap_wherever_a_stretch_begins(tmp_path):
    bank = write(tmp_path / "b", Form(epochs=2))
    cohort = loop.Cohort([from_bank(bank)], SOURCE, FixedLab().lens(None), (), bank)
    one_by_one = torch.cat([cohort.draws(i, 1) for i in range(15)], dim=1)
    assert torch.equal(cohort.draws(0, 15), one_by_one)
    assert torch.equal(cohort.draws(4, 9), one_by_one[:, 4:13])


def test_the_largest_logits_are_kept_and_renormalised():
    logits = torch.randn(7, 300, generator=torch.Generator().manual_seed(0)) * 4
    stored = encode(logits, 10)
    assert stored["classes"].dtype == torch.int16
    p = (decode(stored, 300) / 20).softmax(-1)
    kept = torch.zeros_like(p).scatter(1, logits.topk(10).indices, 1.0)
    wanted = (logits / 20).softmax(-1) * kept
    torch.testing.assert_close(p, wanted / wanted.sum(-1, keepdim=True), rtol=2e-3, atol=1e-6)
    loss = protocols.registry.build("loss", Spec("kl"))
    found = loss(torch.zeros(7, 300), decode(stored, 300), torch.zeros(7, dtype=torch.int64))
    oracle = F.kl_div(torch.full_like(p, 1 / 300).log(), p, reduction="none").sum(-1)
    torch.testing.assert_close(found, oracle, rtol=1e-4, atol=1e-5)


def test_class_numbers_above_a_byte_survive():
    logits = torch.zeros(1, 1000)
    logits[0, 999] = 1
    assert decode(encode(logits, 1), 1000)[0].argmax() == 999


def test_bytes_are_those_of_the_files_and_of_the_arithmetic(tmp_path):
    full, top = write(tmp_path / "f"), write(tmp_path / "t", Form(top=1))
    for bank, each in ((full, 2 * 3), (top, 2 + 1)):
        files = list(bank.folder.glob("*.safetensors"))
        assert bank.bytes == sum(file.stat().st_size for file in files)
        assert sum(header_free(file) for file in files) == 5 * 12 * each


def header_free(file):
    """Bytes of a safetensors file behind its length and header."""
    length = int.from_bytes(file.read_bytes()[:8], "little")
    return file.stat().st_size - 8 - length


def test_a_killed_bank_goes_on_and_is_the_one_written_at_once(tmp_path, monkeypatch):
    whole = write(tmp_path / "whole")

    class Killed(BaseException):
        pass

    class Killer(Silent):
        steps = 0

        def stepped(self, steps):
            self.steps += steps
            if self.steps == 8:  # in the third of five shards
                raise Killed

    found = job()
    with pytest.raises(Killed):
        relabel(found.data, found.trial.recipe, FixedLab(), tmp_path / "b", observer=Killer())
    assert sorted(f.name for f in (tmp_path / "b").iterdir()) == [
        "labels-00000.safetensors",
        "labels-00001.safetensors",
    ]
    with pytest.raises(HydrometerError, match=r"unfinished; run the same `hydrometer relabel`"):
        open_bank(tmp_path / "b")
    lab = FixedLab()
    assert write(tmp_path / "b", lab=lab).contents.digest == whole.contents.digest
    assert len(lab.asked) == 3 * 3


def test_a_truncated_shard_is_named_and_mended(tmp_path):
    bank = write(tmp_path / "b")
    file = tmp_path / "b" / "labels-00003.safetensors"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(HydrometerError, match=r"labels-00003\S* is missing or truncated \(.* of "):
        open_bank(tmp_path / "b")
    lab = FixedLab()
    assert write(tmp_path / "b", lab=lab).contents.digest == bank.contents.digest
    assert len(lab.asked) == 3


def test_an_altered_label_is_found(tmp_path):
    bank = write(tmp_path / "b")
    bank.verify()
    file = tmp_path / "b" / "labels-00001.safetensors"
    body = bytearray(file.read_bytes())
    body[-1] ^= 1
    file.write_bytes(body)
    with pytest.raises(HydrometerError, match="altered"):
        open_bank(tmp_path / "b").verify()


def test_a_shard_is_read_only_when_its_epoch_is_asked_for(tmp_path):
    bank = write(tmp_path / "b")
    (tmp_path / "b" / "labels-00004.safetensors").unlink()
    assert bank.labels(3, slice(0, 2), tiny.CPU).shape == (2, 3)
    with pytest.raises(HydrometerError, match="missing or truncated"):
        bank.labels(4, slice(0, 2), tiny.CPU)


def test_every_way_of_not_belonging_is_named(tmp_path):
    bank = write(tmp_path / "b")
    recipe, data = job().trial.recipe, job().data
    bank.check(data.digest, SOURCE, dataclasses.replace(recipe, lr=9.0, epochs=99))
    other = dataclasses.replace(SOURCE, classes=("a", "b", "c"))
    for arguments, said in (
        (("0" * 20, SOURCE, recipe), f"belongs to set {data.digest}, not to 0000"),
        ((data.digest, dataclasses.replace(SOURCE, digest="elsewhere"), recipe), "to source"),
        ((data.digest, other, recipe), "classes that are not those"),
        (
            (data.digest, SOURCE, dataclasses.replace(recipe, batch=8)),
            "written with batch=4, but this recipe has batch=8",
        ),
        (
            (data.digest, SOURCE, dataclasses.replace(recipe, augment=())),
            r"written with augment=dsa\|cutmix\(per_batch=True\), but this recipe has augment=none",
        ),
    ):
        with pytest.raises(HydrometerError, match=said):
            bank.check(*arguments)


@pytest.mark.parametrize(
    ("form", "said"),
    [(Form(top=3), "top=3"), (Form(epochs=6), "epochs=6"), (Form(epochs=0), "epochs=0")],
)
def test_impossible_forms_are_refused(tmp_path, form, said):
    with pytest.raises(HydrometerError, match=said):
        write(tmp_path / "b", form)


def test_a_folder_with_another_bank_is_left_alone(tmp_path):
    bank = write(tmp_path / "b")
    with pytest.raises(HydrometerError, match="another bank"):
        write(tmp_path / "b", Form(top=1))
    assert open_bank(tmp_path / "b").contents == bank.contents


def test_writing_again_changes_nothing_and_keeps_the_time_it_took(tmp_path):
    bank, lab = write(tmp_path / "b"), FixedLab()
    assert write(tmp_path / "b", lab=lab).contents == bank.contents
    assert bank.contents.seconds > 0
    assert lab.asked == []


def test_labels_beyond_fp16_are_refused():
    with pytest.raises(HydrometerError, match="beyond fp16"):
        encode(torch.tensor([[1e6, 0.0]]), None)


def test_a_full_disk_is_said_in_one_sentence(tmp_path, monkeypatch):
    def full(*arguments, **more):
        raise writer.SafetensorError("No space left on device")

    monkeypatch.setattr(writer, "save_file", full)
    with pytest.raises(HydrometerError, match="No space left on device"):
        write(tmp_path / "b")
    assert list((tmp_path / "b").iterdir()) == []


def test_an_unreadable_card_is_named(tmp_path):
    write(tmp_path / "b")
    (tmp_path / "b" / CARD).write_text(json.dumps({"card": 1}))
    with pytest.raises(HydrometerError, match="unreadable"):
        open_bank(tmp_path / "b")
    with pytest.raises(HydrometerError, match="not a label bank"):
        open_bank(tmp_path)


RD3 = "rd3-quick@1{epochs=3,seeds=2,teacher.epochs=40,teacher.least_steps=0,student=convnet-2-bn}"


def test_a_verdict_from_a_bank_has_its_name_labels_and_bytes(tmp_path):
    protocol, lab = protocols.load(RD3), Lab(SOURCE, tiny.CPU)
    data, recipe = verdict.relabelled(job().data, protocol, lab)
    bank = relabel(data, recipe, lab, tmp_path / "b", form=Form(epochs=2), protocol=protocol.name)
    banked = protocol.changed({"bank": lab.add_bank(bank)})
    assert f"bank={bank.contents.digest}" in banked.name
    planned = verdict.plan(data, banked, lab)
    subject, random = planned.arms
    assert (subject.recipe.labels, subject.recipe.teacher) == ("bank", ())
    assert random.recipe.labels == "teacher"
    with Store(tmp_path / "runs.sqlite") as store:
        judged = verdict.evaluate(planned, lab, store)
        online = verdict.evaluate(verdict.plan(data, protocol, lab), lab, store)
    assert judged.bank_bytes == bank.bytes
    assert "ior" in online.estimates
    assert "ior" not in judged.estimates
    assert any("over and over for 3" in notice for notice in judged.notices)
    assert not set(judged.arms[0].runs) & set(online.arms[0].runs)
    assert judged.arms[1].runs == online.arms[1].runs
    with pytest.raises(HydrometerError, match="is not at hand"):
        verdict.plan(data, banked, Lab(SOURCE, tiny.CPU))


def test_a_whole_bank_is_a_part_to_students_who_train_longer(tmp_path):
    """Their views come again, those of random images do not: no gain is scored, and it is said."""
    protocol, lab = protocols.load(RD3), Lab(SOURCE, tiny.CPU)
    data, recipe = verdict.relabelled(job().data, protocol, lab)
    name = {"bank": lab.add_bank(relabel(data, recipe, lab, tmp_path / "b"))}
    for epochs, metrics, said in (
        ("3", {"accuracy", "ior"}, "(all logits, fp16, 3 epochs,"),
        ("2", {"accuracy", "ior"}, "(all logits, fp16, 3 epochs,"),
        ("4", {"accuracy"}, "3 epochs over and over for 4,"),
    ):
        planned = verdict.plan(data, protocol.changed(name | {"epochs": epochs}), lab)
        with Store(tmp_path / "runs.sqlite") as store:
            judged = verdict.evaluate(planned, lab, store)
        assert {key for key in judged.estimates if ":" not in key} == metrics
        assert any(said in notice for notice in judged.notices)


def test_a_bank_of_another_teacher_or_for_a_loss_that_needs_all_logits_is_refused(tmp_path):
    protocol, lab = protocols.load(RD3), Lab(SOURCE, tiny.CPU)
    data, recipe = verdict.relabelled(job().data, protocol, lab)
    bank = relabel(data, recipe, lab, tmp_path / "b", form=Form(top=2))
    name = {"bank": lab.add_bank(bank)}
    for changes, said in (
        ({"teacher.epochs": "41"}, "holds labels of teacher"),
        ({"loss": "mse-gt"}, "write one without --top"),
    ):
        with pytest.raises(HydrometerError, match=said):
            verdict.plan(data, protocol.changed(name | changes), lab)
    hard = protocols.load("rethink-hard-quick@1").changed(name)
    with pytest.raises(HydrometerError, match="of no use"):
        verdict.plan(data, hard, lab)
    with pytest.raises(HydrometerError, match="labels no view"):
        verdict.relabelled(data, protocols.load("rethink-hard-quick@1"), lab)
