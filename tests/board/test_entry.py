import json

import numpy as np
import pytest
import torch

import tiny
from hydrometer import methods, protocols, verdict
from hydrometer.artifact import container
from hydrometer.artifact.rows import from_rows
from hydrometer.board import commands
from hydrometer.board import entry as entries
from hydrometer.board import verify as verification
from hydrometer.board.entry import Reported
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab
from hydrometer.seeds import numpy_rng
from hydrometer.store import Store
from hydrometer.types import Budget, HydrometerError, Spec

SOURCE = tiny.source(per_class=12)
PROTOCOL = (
    "ddranking-hard-quick@1{augment=none,epochs=2,full.epochs=1,full.least_steps=0,full.seeds=2,"
    "precision=float32,rates=0.01,seeds=3,student=convnet(depth=1,norm=instance,width=4)}"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    subject = from_rows(SOURCE, torch.arange(0, 36, 6), method="each/sixth", budget="ipc=2")
    container.save(subject, folder / "set.safetensors")
    lab = Lab(SOURCE, tiny.CPU)
    with Store(folder / "runs.sqlite") as store:
        planned = verdict.plan(subject, protocols.load(PROTOCOL), lab)
        found = verdict.evaluate(planned, lab, store)
        where = str(folder / "set.safetensors")
        return found, store.runs(), entries.make(found, store.runs(), where, Reported(accuracy=0.5))


def again(entry, **how):
    return verification.verify(entry, Lab(SOURCE, tiny.CPU), Silent(), **how)


def test_an_entry_reads_back_and_holds_the_raw_runs(made, tmp_path):
    _, runs, entry = made
    path = entries.write(entry, tmp_path / "board")
    assert entries.read(path) == entry == entries.read_all(tmp_path / "board")[0]
    assert path.name.startswith("tiny-ddranking_hard_quick_1-each_sixth-")
    assert len(entry.runs) == len(runs) == 3 + 3 + 2
    hits = {run.key: sum(run.test_hits) / sum(run.test_totals) for run in entry.runs}
    for arm in entry.arms:
        assert arm.accuracy == tuple(hits[key] for key in arm.runs)
    assert {run.recipe_digest for run in entry.runs} == set(entry.recipes)


def test_an_entry_gives_back_its_verdict_and_its_runs(made):
    found, runs, entry = made
    assert entry.verdict == found.model_copy(update={"seconds": entry.seconds})
    kept = entry.full_runs
    for run in runs:
        assert (kept[run.key].test_hits, kept[run.key].recipe) == (run.test_hits, run.recipe)
        assert np.mean(kept[run.key].losses) == pytest.approx(np.mean(run.losses), rel=0.05)
    assert all(run.steps > 0 and run.seconds > 0 and len(run.losses) <= 25 for run in entry.runs)


def test_losses_are_kept_at_the_chosen_rate_alone(made):
    found, runs, _ = made
    other = [run.model_copy(update={"recipe_digest": f"{run.recipe_digest}-no"}) for run in runs]
    assert {run.losses for run in entries.make(found, other, "", None).runs} == {()}


def test_entries_of_version_1_are_still_read(made, tmp_path):
    text = json.loads(made[2].model_dump_json()) | {"schema_version": 1}
    for new in ("steps", "seconds", "teacher_bytes"):
        del text[new]
    for run in text["runs"]:
        del run["steps"], run["seconds"], run["losses"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps(text))
    old = entries.read(path)
    assert (old.steps, old.runs[0].seconds, old.runs[0].losses) == (0, 0, ())
    assert old.arms == made[2].arms


def test_lists_of_numbers_take_one_line_of_the_file(made, tmp_path):
    text = entries.write(made[2], tmp_path).read_text()
    assert '"test_hits": [ ' in text
    assert max(map(len, text.splitlines())) < 1000
    assert len(text.splitlines()) < 400


def test_every_verdict_has_a_file_of_its_own(made):
    entry = made[2]
    card = entry.card.model_copy(update={"seed": 7})
    others = [{"protocol": "ddranking-hard-quick@1{epochs=3}"}, {"card": card}]
    names = [entry.model_copy(update=change).file_name for change in ({}, *others)]
    assert len(set(names)) == 3


def test_an_entry_without_its_runs_is_not_made(made):
    found, runs, _ = made
    with pytest.raises(HydrometerError, match="1 of 8 runs"):
        entries.make(found, runs[1:], "here", None)


def test_an_entry_is_made_again_to_the_digit(made):
    found = again(made[2])
    assert (found.same_environment, found.same_digits, found.reproduces) == (True, True, True)
    assert all(arm.difference.value == 0 for arm in found.arms)


def test_one_hit_that_differs_on_the_same_machine_does_not_reproduce(made):
    first, *rest = made[2].runs
    changed = first.model_copy(update={"test_hits": (first.test_hits[0] + 1, *first.test_hits[1:])})
    forged = made[2].model_copy(update={"runs": (changed, *rest)})
    found = again(forged)
    assert (found.same_environment, found.same_digits, found.reproduces) == (True, False, False)


@pytest.mark.parametrize(("shift", "answer"), [(0.0, True), (0.001, True), (0.4, False)])
def test_elsewhere_an_arm_may_differ_by_chance_alone(made, shift, answer):
    found, _, entry = made
    spread = (0.3 + shift, 0.32 + shift, 0.34 + shift)
    arms = tuple(a.model_copy(update={"accuracy": (0.3, 0.32, 0.34)}) for a in found.arms)
    moved = tuple(a.model_copy(update={"accuracy": spread}) for a in found.arms)
    elsewhere = entry.environment.model_copy(update={"device": "other"})
    there = entry.model_copy(update={"environment": elsewhere, "arms": arms})
    checked = verification.compare(there, moved, found.environment, {})
    assert (checked.same_environment, checked.same_digits) == (False, False)
    assert checked.reproduces is answer


def test_one_arm_can_be_made_again_alone(made):
    found = again(made[2], arms=("subject",))
    assert [arm.name for arm in found.arms] == ["subject"]
    assert (found.same_digits, found.reproduces) == (True, True)
    with pytest.raises(HydrometerError, match="no arm 'subjekt'; it has subject, random, full"):
        again(made[2], arms=("subjekt",))


def test_a_set_that_a_method_here_made_is_made_again_from_its_card(made):
    card = methods.compress(
        SOURCE, Spec("random"), Budget(per_class=2), rng=numpy_rng(3, "method/random"), seed=3
    )
    lost = made[2].set.model_copy(update={"where": "nowhere", "digest": card.digest})
    entry = made[2].model_copy(update={"set": lost, "card": card.card})
    assert commands.make_again(entry.card, SOURCE).digest == card.digest
    found = again(entry, arms=("full",))
    assert found.reproduces
    forged = entry.model_copy(update={"card": card.card.model_copy(update={"seed": 4})})
    with pytest.raises(HydrometerError, match="made another one here"):
        again(forged)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"method": "random"}, "compress --source tiny --method random --ipc 2 --seed 0"),
        ({"method": "random", "budget": "bytes=9"}, "--bytes 9"),
        ({"method": "import(a.pt)"}, "# set.safetensors: here rm -rf /"),
        ({"method": "random", "seed": None}, "# set.safetensors"),
        ({"method": "random", "budget": "x=$(rm)"}, "# set.safetensors"),
        ({"method": "random(a=';rm')"}, "'random(a='\"'\"';rm'\"'\"')'"),
    ],
)
def test_commands_are_quoted_and_never_data(made, card, said):
    card = made[2].card.model_copy(update={"seed": 0} | card)
    place = made[2].set.model_copy(update={"where": "here\nrm -rf /"})
    told = commands.commands(made[2].model_copy(update={"card": card, "set": place}))
    assert said in told[0]
    assert all("\n" not in line for line in told)
    assert ("--set" in told[-1]) is told[0].startswith("#")


def test_another_set_or_source_is_refused(made, tmp_path):
    other = from_rows(SOURCE, torch.arange(6), method="first", budget="six")
    container.save(other, tmp_path / "other.safetensors")
    with pytest.raises(HydrometerError, match="the entry is about"):
        again(made[2], subject=tmp_path / "other.safetensors")
    lost = made[2].model_copy(update={"set": made[2].set.model_copy(update={"where": "https://x"})})
    with pytest.raises(HydrometerError, match="--set"):
        again(lost)
    with pytest.raises(HydrometerError, match="same data"):
        verification.verify(made[2], Lab(tiny.source(seed=1), tiny.CPU), Silent())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"schema_version": 2', '"schema_version": 3', "upgrade"),
        ('"protocol"', '"protocoll"', "not a board entry"),
        ("{", "[", "not a board entry"),
    ],
)
def test_files_that_are_no_entries_are_refused(made, tmp_path, old, new, said):
    path = entries.write(made[2], tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(HydrometerError, match=said):
        entries.read(path)
