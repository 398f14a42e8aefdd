import dataclasses

import numpy as np
import pytest
import torch

import tiny
from hydrometer import protocols, registry, verdict
from hydrometer.artifact.container import make
from hydrometer.artifact.rows import from_rows
from hydrometer.execute.lab import Lab
from hydrometer.protocols import Full
from hydrometer.store import Store
from hydrometer.types import Arm, HydrometerError, Spec

SOURCE = tiny.source(per_class=30)
SMALL = {
    "epochs": "4",
    "seeds": "3",
    "batch": "16",
    "student": "convnet(depth=2,width=8)",
    "rates": "0.01|0.05",
    "precision": "float32",
}


def small(name, **changes):
    found = protocols.load(name).changed(SMALL | changes)
    quick = Full(2, 16, 0.05, Spec("sgd"), Spec("triangle"), seeds=2)
    settings = found.settings
    return dataclasses.replace(
        found,
        settings=dataclasses.replace(
            settings,
            full=quick if settings.full else None,
            teacher=dataclasses.replace(quick, epochs=12, seeds=1) if settings.teacher else None,
        ),
    )


def subject():
    return from_rows(SOURCE, torch.arange(0, 90, 10), method="some", budget="ipc=3")


def judge(path, protocol, data=None):
    lab = Lab(SOURCE, tiny.CPU)
    with Store(path) as store:
        return verdict.evaluate(verdict.plan(data or subject(), protocol, lab), lab, store), store


@pytest.mark.parametrize(
    "name", ["ddranking-hard@1", "ddranking-soft@1", "ddranking-aug@1", "as-dc@1"]
)
def test_protocols_run_end_to_end(tmp_path, name):
    protocol = small(name)
    found, _ = judge(tmp_path / "runs.sqlite", protocol)
    assert found.protocol == protocol.name
    assert set(protocol.metrics) <= set(found.estimates)
    for arm in found.arms:
        assert len(arm.accuracy) == len(arm.seeds)
        assert all(0 <= a <= 1 for a in arm.accuracy)
    for estimate in found.estimates.values():
        assert estimate.low <= estimate.value <= estimate.high
    assert any("3 seeds" in notice or "n=3" in notice for notice in found.notices)


def test_the_estimates_are_what_the_raw_accuracies_say(tmp_path):
    found, _ = judge(tmp_path / "runs.sqlite", small("ddranking-hard@1"))
    arms = {arm.name: np.array(arm.accuracy) for arm in found.arms}
    gain = float((arms["subject"] - arms["random"]).mean())
    lost = float(arms["full"].mean() - arms["subject"].mean())
    assert found.estimates["ior"].value == pytest.approx(gain)
    assert found.estimates["hlr"].value == pytest.approx(lost)


def test_the_same_evaluation_gives_the_same_digits(tmp_path):
    first, _ = judge(tmp_path / "a.sqlite", small("ddranking-hard@1"))
    second, _ = judge(tmp_path / "b.sqlite", small("ddranking-hard@1"))
    assert first.estimates == second.estimates
    assert first.arms == second.arms


def test_the_same_images_as_float_pixels_score_the_same(tmp_path):
    """An import that holds the same images as a selection must agree with it."""
    data = subject()
    floats = make(
        data.images.float() / 255,
        data.labels,
        source=SOURCE,
        method="import",
        budget="ipc=3",
        seed=None,
        seconds=0.0,
    )
    protocol = small("as-dc@1")
    ours, _ = judge(tmp_path / "a.sqlite", protocol, data)
    theirs, _ = judge(tmp_path / "b.sqlite", protocol, floats)
    assert ours.arms[0].accuracy == theirs.arms[0].accuracy


def test_the_rate_is_chosen_on_val_and_never_on_test():
    """Planted rows: the rate that is best on test is worst on val, and must not be chosen."""
    arm = Arm("subject", (subject(),), tiny.recipe(), (0.1, 0.2), (0, 1))
    rows = {}
    for job in verdict.jobs_of(arm, SOURCE):
        good_on_val = job.trial.recipe.lr == 0.2
        run = _row(job, val=9 if good_on_val else 1, test=1 if good_on_val else 9)
        rows[run.key] = run
    chosen = verdict.result(arm, SOURCE, rows)
    assert chosen.lr == 0.2
    assert chosen.accuracy == (0.1, 0.1)


def test_ties_between_rates_go_to_the_lower_one():
    arm = Arm("subject", (subject(),), tiny.recipe(), (0.1, 0.2), (0,))
    rows = {r.key: r for r in (_row(j, 5, 5) for j in verdict.jobs_of(arm, SOURCE))}
    assert verdict.result(arm, SOURCE, rows).lr == 0.1


def test_cost_counts_what_is_left_and_then_nothing(tmp_path):
    lab, protocol = Lab(SOURCE, tiny.CPU), small("ddranking-hard@1")
    plan = verdict.plan(subject(), protocol, lab)
    with Store(tmp_path / "runs.sqlite") as store:
        before = verdict.cost(plan, lab, store)
        assert before.students == 2 * 3 * 2 + 2
        assert before.done == 0
        assert before.steps == 12 * 4 + 2 * 2 * 6
        assert before.seconds > 0
        verdict.evaluate(plan, lab, store)
        after = verdict.cost(plan, lab, store)
    assert (after.done, after.steps, after.seconds) == (before.students, 0, 0)


@pytest.mark.parametrize("name", [n for n in registry.names("protocol") if "cross" not in n])
def test_every_protocol_can_be_priced_without_training_anything(tmp_path, name):
    """Protocols that need soft labels get them; cross-student ones need images of 224 pixels."""
    soft = torch.zeros(9, 3)
    data = dataclasses.replace(subject(), soft=soft) if name.startswith("as-datm") else subject()
    protocol = small(name)
    lab = Lab(SOURCE, tiny.CPU)
    with Store(tmp_path / "runs.sqlite") as store:
        plan = verdict.plan(data, protocol, lab)
        cost = verdict.cost(plan, lab, store)
        assert cost.students > cost.done == 0
        assert store.runs() == []


def test_images_of_val_or_test_in_a_set_are_told(tmp_path):
    rows = torch.cat([SOURCE.val.images[:2], SOURCE.test.images[:1], SOURCE.train.images[:3]])
    labels = torch.cat([SOURCE.val.labels[:2], SOURCE.test.labels[:1], SOURCE.train.labels[:3]])
    data = make(rows, labels, source=SOURCE, method="leak", budget="x", seed=None, seconds=0.0)
    found, _ = judge(tmp_path / "runs.sqlite", small("as-dc@1"), data)
    assert "2 of the set's 6 images are images of val" in found.notices
    assert "1 of the set's 6 images are images of test" in found.notices


def test_random_images_get_stored_labels_when_the_subject_has_them():
    """DD-Ranking's mode S: one teacher vector per random image beside one per subject image."""
    data = dataclasses.replace(subject(), soft=torch.zeros(9, 3))
    plan = verdict.plan(data, small("ddranking-soft@1"), Lab(SOURCE, tiny.CPU))
    labels = {arm.name: arm.recipe.labels for arm in plan.arms}
    assert (labels["subject"], labels["random"]) == ("given", "fixed")


def test_a_set_of_other_classes_is_refused_before_any_training(tmp_path):
    other = tiny.source(classes=4)
    data = from_rows(other, torch.arange(8), method="some", budget="ipc=2")
    with pytest.raises(HydrometerError, match="class"):
        verdict.plan(data, small("ddranking-hard@1"), Lab(SOURCE, tiny.CPU))


def test_a_better_set_scores_better(tmp_path):
    """A planted pair: real images against the same number of images of pure noise."""
    noise = torch.randint(0, 255, (9, 1, 8, 8), generator=torch.Generator().manual_seed(1))
    bad = make(
        noise.to(torch.uint8),
        subject().labels,
        source=SOURCE,
        method="noise",
        budget="ipc=3",
        seed=None,
        seconds=0.0,
    )
    protocol = small("as-dc@1", epochs="30")
    good, _ = judge(tmp_path / "a.sqlite", protocol)
    worse, _ = judge(tmp_path / "a.sqlite", protocol, bad)
    assert good.estimates["accuracy"].low > worse.estimates["accuracy"].high
    assert worse.estimates["ior"].high < 0


def _row(job, val, test):
    from hydrometer import digest
    from hydrometer.engine.environment import environment
    from hydrometer.types import Run

    return Run(
        key=digest.of_trial(job.trial),
        set_digest="s",
        source_digest="s",
        recipe_digest=digest.of(job.trial.recipe),
        recipe=digest.canonical(job.trial.recipe),
        seed=job.trial.seed,
        status="done",
        val_hits=(val,),
        val_totals=(10,),
        test_hits=(test,),
        test_totals=(10,),
        losses=(1.0,),
        steps=1,
        seconds=1.0,
        environment=environment(tiny.CPU),
    )


def test_registered_metrics_are_known_to_the_protocols():
    known = set(registry.names("metric"))
    for name in registry.names("protocol"):
        assert set(protocols.load(name).metrics) <= known
