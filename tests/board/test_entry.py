import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from hydrometer import digest, methods, metrics, protocols, types, verdict
from hydrometer.artifact import container
from hydrometer.artifact.rows import from_rows
from hydrometer.board import cards, commands
from hydrometer.board import entry as entries
from hydrometer.board import verify as verification
from hydrometer.board.entry import Reported
from hydrometer.cli import board as cli
from hydrometer.execute import Silent
from hydrometer.execute.lab import Lab
from hydrometer.methods import codec
from hydrometer.seeds import numpy_rng
from hydrometer.store import Store
from hydrometer.types import Budget, Bytes, Environment, HydrometerError, Spec

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


def forged(entry, **changes):
    """The entry as JSON, changed at paths such as `arms.0.lr`, as an editor would change it."""
    text = json.loads(entry.model_dump_json())
    for path, value in changes.items():
        *way, last = (int(part) if part.isdigit() else part for part in path.split("."))
        place = text
        for part in way:
            place = place[part]
        place[last] = value(place[last]) if callable(value) else value
    return text


FORGERIES = [
    (
        {"arms.0.accuracy": [0.9, 0.95, 0.93]},
        "accuracy of arm subject, seed 0, is 0.9, but the runs",
    ),
    ({"arms.0.accuracy": lambda old: old[:2]}, "accuracies of arm subject are not one for each"),
    ({"arms.0.accuracy.1": float("nan")}, "accuracy of arm subject, seed 1, is nan"),
    ({"arms.1.val_accuracy.0": 0.99}, "val_accuracy of arm random, seed 0, is 0.99"),
    ({"arms.0.lr": 0.5}, "lr of arm subject is 0.5, but the runs give 0.01"),
    ({"arms.2.diverged": 1}, "diverged of arm full is 1"),
    ({"arms.0.recipe_digest": "other"}, "recipe_digest of arm subject is other"),
    ({"arms.0.seeds": [0, 1]}, "arm subject has 3 runs on 1 sets for 2 seeds"),
    ({"arms.0.seeds": [2, 1, 0]}, "not of the seed and set of arm subject"),
    ({"arms.0.runs": lambda old: [*old[:2], "lost"]}, "names run lost"),
    ({"arms": lambda old: [*old, old[0]]}, "one of each"),
    ({"arms": lambda old: old[1:]}, "one the subject"),
    ({"estimates.accuracy.value": 0.925}, "value of estimate accuracy is 0.925, but the runs give"),
    ({"estimates.accuracy:subject.value": 0.925}, "value of estimate accuracy:subject is 0.925"),
    ({"estimates.accuracy:subject.low": 0.9}, "low of estimate accuracy:subject is 0.9"),
    ({"estimates.lrs.high": 0.99}, "high of estimate lrs is 0.99"),
    ({"estimates.hlr.n": 50}, "n of estimate hlr is 50"),
    ({"estimates": lambda old: old | {"best": old["lrs"]}}, "estimate best is of no metric of"),
    ({"estimates": lambda old: old | {"accuracy:best": old["lrs"]}}, "accuracy"),
    ({"estimates": lambda old: {"lrs": old["lrs"]}}, "there is no estimate accuracy:subject"),
    ({"runs.0.test_hits.0": lambda old: old + 1}, "accuracy of arm subject, seed 0, is"),
    ({"runs.0.test_totals.0": 1000}, "test_totals of run"),
    ({"runs.0.test_hits.0": -1}, "test_hits of run"),
    ({"runs.0.test_hits.0": 1000}, "test_hits of run"),
    ({"runs.0.seed": 9}, "is not of the set, recipe, source and seed"),
    ({"runs.0.steps": 0}, "steps is"),
    ({"runs": lambda old: [*old, old[0]]}, "1 runs are there twice"),
    ({"recipes": {}}, "has no recipe"),
    ({"recipes": lambda old: dict.fromkeys(old, "{}")}, "is not what its digest says"),
]


@pytest.mark.parametrize(("changes", "said"), FORGERIES)
def test_an_entry_whose_numbers_do_not_follow_from_its_runs_is_refused(
    made, tmp_path, changes, said
):
    path = tmp_path / "entry.json"
    path.write_text(json.dumps(forged(made[2])))
    entries.read(path)
    path.write_text(json.dumps(forged(made[2], **changes)))
    for read in (entries.read, lambda file: entries.read_all(file.parent)):
        with pytest.raises(HydrometerError, match=f"entry.json contradicts its own runs.*{said}"):
            read(path)
    with pytest.raises(HydrometerError, match=said):
        entries.write(entries.Entry.model_validate(forged(made[2], **changes)), tmp_path)


def test_rounding_of_another_machine_and_metrics_that_are_not_here_are_let_pass(made, tmp_path):
    path = tmp_path / "entry.json"
    last = {"arms.0.accuracy.0": lambda old: old + 1e-15}
    path.write_text(json.dumps(forged(made[2], **last)))
    entries.read(path)
    text = forged(made[2], protocol="of-a-plug-in@1")
    text["estimates"]["of-a-plug-in"] = text["estimates"]["lrs"]
    path.write_text(json.dumps(text))
    assert entries.read(path).estimates["of-a-plug-in"].n == 2


def test_a_rate_that_is_not_the_best_on_val_is_refused(tmp_path):
    """Two rates of one seed, planted: the one that is better on test alone must not be shown."""
    recipes = {rate: digest.canonical(tiny.recipe(lr=rate)) for rate in (0.1, 0.2)}
    data, source = "set", SOURCE.digest
    names = {rate: digest.of(json.loads(text)) for rate, text in recipes.items()}
    card = from_rows(SOURCE, torch.arange(3), method="m", budget="b").card
    classes = len(card.classes)
    runs = tuple(
        entries.RawRun(key=digest.of([data, names[rate], source, 0]), set_digest=data, seed=0,
                       recipe_digest=names[rate], status="done", val_totals=(10,) * classes,
                       val_hits=(val,) * classes, test_hits=(10 - val,) * classes,
                       test_totals=(10,) * classes)
        for rate, val in ((0.1, 9), (0.2, 1))
    )  # fmt: skip
    full = {run.key: run for run in runs}
    where = Environment(hydrometer="0", torch="2", python="3", device="d", threads=1)
    known = {"source_digest": source, "environment": where}

    def entry(rate):
        texts = {names[r]: text for r, text in recipes.items()}
        grid = [types.Run(**run.model_dump(), recipe=texts[run.recipe_digest], **known)
                for run in full.values()]  # fmt: skip
        chosen = grid if rate == 0.1 else grid[1:]
        arm = verdict.reached("subject", (data,), (0,), chosen)
        arm = arm.model_copy(update={"runs": tuple(full)})
        reached = metrics.estimate("accuracy", {"subject": arm})
        return entries.Entry(
            set={"digest": data, "where": ""}, card=card, protocol="p@1", source="tiny", runs=runs,
            estimates={"accuracy:subject": reached}, arms=(arm,), recipes=texts, notices=(), **known
        )  # fmt: skip

    entries.read(entries.write(entry(0.1), tmp_path))
    assert entry(0.2).arms[0].accuracy == (0.9,)
    with pytest.raises(HydrometerError, match=r"accuracy of arm subject, seed 0, is 0\.9, but"):
        entries.write(entry(0.2), tmp_path)


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
    assert found.differences == ()


def test_arms_that_say_more_than_their_runs_do_not_reproduce(made):
    first, *rest = made[2].arms
    more = first.model_copy(update={"accuracy": (0.9, 0.95, 0.93)})
    found = again(made[2].model_copy(update={"arms": (more, *rest)}), arms=("subject",))
    assert (found.same_environment, found.same_digits, found.reproduces) == (True, False, False)


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


def check_card(entry, data, anew=False, **card):
    return cards.differences(entry.card.model_copy(update=card), data, SOURCE, anew=anew)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (
            {"bytes": Bytes(images=1, labels=6)},
            r"card.bytes.images is 1 in .* the set itself has \d",
        ),
        ({"bytes": Bytes(images=384, labels=1)}, "card.bytes.labels is 1 in .* itself has 6"),
        ({"budget": "ipc=500"}, "card.budget is ipc=500 in .* itself has 2 images of each"),
        ({"method": "better"}, "card.method is better in the entry, but each/sixth on the card"),
        ({"seconds": 0.1}, "card.seconds is 0.1 in the entry, but 0.0 on the card stored"),
        ({"source_digest": "x"}, "card.source_digest is x in the entry"),
        ({"seed": 3}, "card.seed is 3 in the entry, but nothing"),
        ({"notes": ("a" * 99,)}, "card.notes is .* … in the entry"),
        ({"student_lr": 0.1}, "card.student_lr is 0.1"),
        ({"codec": "png"}, "card.codec is png"),
        ({"bytes": Bytes(images=384, labels=6, teacher=9)}, "card.bytes.teacher is 9"),
    ],
)
def test_a_card_that_is_not_the_sets_is_a_failed_verification(made, card, said):
    entry = made[2].model_copy(update={"card": made[2].card.model_copy(update=card)})
    found = again(entry, arms=("subject",))
    assert (found.same_digits, found.reproduces) == (True, False)
    assert any(re.search(said, sentence) for sentence in found.differences), found.differences
    assert len(found.differences) == 1
    told = cli.verification_text(found)
    assert told.startswith("does NOT reproduce: the same digits")
    assert all(sentence in told for sentence in found.differences)
    assert json.loads(cli.verification_json(found))["differences"] == list(found.differences)


@pytest.mark.parametrize(
    ("budget", "agrees"),
    [
        ("ipc=2", True), ("ipc=3", False), ("ipc=-1", False), ("fraction=0.5", False),
        (f"fraction={6 / len(SOURCE.train)!r}", True), ("bytes=9", False), ("bytes=99999", True),
        ("six", True),
    ],
)  # fmt: skip
def test_a_budget_is_held_against_the_tensors_even_where_both_cards_lie(made, budget, agrees):
    data = container.load(Path(made[2].set.where))
    lying = dataclasses.replace(data, card=data.card.model_copy(update={"budget": budget}))
    assert (check_card(made[2], lying, budget=budget) == ()) is agrees


def test_bytes_are_held_against_the_tensors_even_where_both_cards_lie(made):
    data = container.load(Path(made[2].set.where))
    lie = Bytes(images=1, labels=1)
    lying = dataclasses.replace(data, card=data.card.model_copy(update={"bytes": lie}))
    said = check_card(made[2], lying, bytes=lie)
    assert [sentence.split(" is ")[0] for sentence in said] == [
        "card.bytes.images", "card.bytes.labels"
    ]  # fmt: skip


def test_of_a_set_made_again_what_happened_then_need_not_be_repeated(made):
    first = methods.compress(
        SOURCE, Spec("random"), Budget(per_class=2), rng=numpy_rng(3, "method/random"), seed=3
    )
    entry = made[2].model_copy(update={"card": first.card})
    then = {"seconds": 99.0, "notes": ("then",), "source": "folder:elsewhere"}
    assert check_card(entry, first, anew=True, **then) == ()
    assert len(check_card(entry, first, **then)) == 3
    assert check_card(entry, first, anew=True, source_digest="x", seed=4) == (
        f"card.source_digest is x in the entry, but {SOURCE.digest} on the set made again",
        "card.seed is 4 in the entry, but 3 on the set made again",
    )


def test_files_and_a_teacher_that_were_paid_for_are_paid_for_again(made):
    random = {"spec": Spec("random"), "budget": Budget(per_class=2), "seed": 3}
    first = methods.compress(SOURCE, **random, stored_as=codec.read("jpeg(quality=50)"), teacher=77,
                             rng=numpy_rng(3, "method/random"))  # fmt: skip
    again = commands.make_again(first.card, SOURCE, 77)
    assert (again.digest, again.card.bytes) == (first.digest, first.card.bytes)
    entry = made[2].model_copy(update={"card": first.card})
    told = commands.commands(entry)[0]
    assert f"--codec 'jpeg(quality=50)' --for '{entry.protocol}'" in told
    assert check_card(entry, again, anew=True) == ()


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
