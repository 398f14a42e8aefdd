import dataclasses

import numpy as np
import pytest
import torch
from markupsafe import escape

import tiny
from hydrometer import digest, protocols, verdict
from hydrometer.artifact.container import make
from hydrometer.artifact.rows import from_rows
from hydrometer.attribute import attribution, page, words
from hydrometer.attribute.attribution import Attribution
from hydrometer.execute.lab import Lab
from hydrometer.protocols import Full
from hydrometer.report.templates import unbroken
from hydrometer.store import Store
from hydrometer.types import HydrometerError, Spec

SOURCE = tiny.source(per_class=30)
CHANGES = {
    "epochs": "8",
    "seeds": "3",
    "batch": "16",
    "student": "convnet(depth=2,width=8)",
    "rates": "0.05",
    "precision": "float32",
    "augment": "none",
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))


def small(name="ddranking-soft@1", **changes):
    found = protocols.load(name).changed(CHANGES | changes)
    teacher = Full(12, 16, 0.05, Spec("sgd"), Spec("triangle"), seeds=1)
    wanted = teacher if found.settings.teacher else None
    return dataclasses.replace(found, settings=dataclasses.replace(found.settings, teacher=wanted))


def subject(images=None, soft=None):
    rows = torch.arange(0, 90, 10)
    images = SOURCE.train.images[rows] if images is None else images
    return make(
        images,
        SOURCE.train.labels[rows],
        soft=soft,
        source=SOURCE,
        method="planted",
        budget="ipc=3",
        seed=None,
        seconds=0.0,
    )


def shares(found):
    return {part.factors[0]: part.share.value for part in found.parts}


def run(tmp_path, data, protocol, reference=None, **more):
    lab = Lab(SOURCE, tiny.CPU)
    with Store(tmp_path / "runs.sqlite") as store:
        planned = attribution.plan(
            data, protocol, lab, reference=reference or protocol.settings, **more
        )
        return attribution.attribute(planned, lab, store)


def noise():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 255, (9, 1, 8, 8), generator=generator).to(torch.uint8)


def test_images_no_better_than_random_with_informative_labels_are_attributed_to_labels(tmp_path):
    """The hard labels are wrong throughout the drawn images; a teacher's labels repair them."""
    blurred = dataclasses.replace(
        SOURCE, train=dataclasses.replace(SOURCE.train, labels=SOURCE.train.labels.roll(30))
    )
    protocol = small(epochs="30")
    lab = Lab(SOURCE, tiny.CPU)
    with Store(tmp_path / "runs.sqlite") as store:
        planned = attribution.plan(subject(), protocol, lab, reference=protocol.settings)
        spoiled = tuple(
            dataclasses.replace(arm, sets=tuple(relabelled(data, blurred) for data in arm.sets))
            for arm in planned.plan.arms
        )
        jobs = tuple(job for arm in spoiled for job in verdict.jobs_of(arm, SOURCE))
        plan = dataclasses.replace(planned.plan, arms=spoiled, jobs=jobs)
        found = attribution.attribute(dataclasses.replace(planned, plan=plan), lab, store)
    assert shares(found)["labels"] > 0.5
    assert abs(shares(found)["images"]) < 0.15


def relabelled(data, source):
    """The same images with the labels of another class, as a set of its own."""
    return make(
        data.images,
        (data.labels + 1) % 3,
        source=source,
        method=data.card.method,
        budget=data.card.budget,
        seed=None,
        seconds=0.0,
    )


def test_better_images_with_hard_labels_are_attributed_to_images(tmp_path):
    """The protocol has hard labels alone, and the drawn images are noise to any student."""
    protocol = small("as-dc@1", epochs="30")
    lab = Lab(SOURCE, tiny.CPU)
    with Store(tmp_path / "runs.sqlite") as store:
        planned = attribution.plan(
            subject(),
            protocol,
            lab,
            reference=dataclasses.replace(protocol.settings, epochs=25),
        )
        good, bad = subject(), subject(noise())
        arms = tuple(
            dataclasses.replace(arm, sets=(good if "subject" in arm.name else bad,))
            for arm in planned.plan.arms
        )
        jobs = tuple(job for arm in arms for job in verdict.jobs_of(arm, SOURCE))
        plan = dataclasses.replace(planned.plan, arms=arms, jobs=jobs)
        found = attribution.attribute(dataclasses.replace(planned, plan=plan), lab, store)
    assert shares(found)["images"] > 0.3
    assert abs(shares(found)["recipe"]) < 0.15
    assert {out.factor for out in found.left_out} == {"labels", "augmentation"}


@pytest.mark.parametrize(("fraction", "cells"), [("full", 16), ("half", 8), ("ladder", 5)])
def test_parts_add_up_to_the_total_and_cells_are_what_the_design_says(tmp_path, fraction, cells):
    protocol = small(augment="flip", epochs="2")
    reference = dataclasses.replace(protocol.settings, epochs=1)
    found = run(tmp_path, subject(), protocol, reference, fraction=fraction)
    assert len(found.arms) == cells
    assert sum(shares(found).values()) == pytest.approx(found.total.value, abs=1e-12)
    gain = np.mean(found.arms[-1].accuracy) - np.mean(found.arms[0].accuracy)
    assert found.total.value == pytest.approx(gain, abs=1e-12)
    assert (found.arms[0].name, found.arms[-1].name) == (
        "random_hard_plain_reference",
        "subject_soft_augmented_own",
    )
    assert len(found.pairs) == (6 if fraction == "full" else 0)
    assert any("8 of 16" in notice for notice in found.notices) == (fraction == "half")


def test_an_attribution_reads_back_and_again_trains_nothing(tmp_path):
    protocol = small(epochs="2")
    found = run(tmp_path, subject(), protocol)
    assert Attribution.model_validate_json(found.model_dump_json()) == found
    again = run(tmp_path, subject(), protocol)
    assert again.model_copy(update={"seconds": found.seconds}) == found


def test_students_are_shared_with_a_verdict():
    protocol, lab = small(epochs="2"), Lab(SOURCE, tiny.CPU)
    planned = attribution.plan(subject(), protocol, lab, reference=protocol.settings)
    judged = verdict.plan(subject(), protocol, lab)
    wanted = [arm for arm in judged.arms if arm.name in ("subject", "random", "subject_hard")]
    keys = {digest.of_trial(job.trial) for arm in wanted for job in verdict.jobs_of(arm, SOURCE)}
    assert keys <= {digest.of_trial(job.trial) for job in planned.plan.jobs}


def test_cost_counts_what_is_left_and_then_nothing(tmp_path):
    protocol, lab = small(epochs="2", seeds="2"), Lab(SOURCE, tiny.CPU)
    planned = attribution.plan(subject(), protocol, lab, reference=protocol.settings)
    with Store(tmp_path / "runs.sqlite") as store:
        before = attribution.cost(planned, store)
        attribution.attribute(planned, lab, store)
        after = attribution.cost(planned, store)
    assert (before.students, before.done, before.steps) == (4 * 2, 0, 4 * 2 * 2)
    assert (after.students, after.done, after.steps) == (4 * 2, 4 * 2, 0)


def test_stored_soft_labels_are_used_for_the_set_and_the_teacher_for_random_images():
    soft = torch.eye(3)[SOURCE.train.labels[torch.arange(0, 90, 10)]] * 5
    protocol, lab = small(), Lab(SOURCE, tiny.CPU)
    planned = attribution.plan(subject(soft=soft), protocol, lab, reference=protocol.settings)
    labels = {arm.name: arm.recipe.labels for arm in planned.plan.arms}
    assert labels["subject_soft_plain_own"] == "given"
    assert labels["random_soft_plain_own"] == "fixed"
    assert labels["subject_hard_plain_own"] == "hard"


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    "name", ["rd3-quick@1", "as-edc-quick@1", "as-cv-dd-small@1", "ddranking-soft-quick@1"]
)
def test_everything_on_is_what_the_protocol_itself_trains(name, stored):
    """RD3 ignores soft labels stored with a set, DD-Ranking takes them, CV-DD's teacher sees batches."""
    soft = torch.eye(3)[SOURCE.train.labels[torch.arange(0, 90, 10)]] * 5 if stored else None
    protocol, lab = protocols.load(name).changed({"student": "convnet-2"}), Lab(SOURCE, tiny.CPU)
    planned = attribution.plan(subject(soft=soft), protocol, lab).plan
    judged = {arm.name: arm for arm in verdict.plan(subject(soft=soft), protocol, lab).arms}
    cells = {arm.name: arm for arm in planned.arms}
    assert cells["subject_soft_augmented_own"].recipe == judged["subject"].recipe
    assert cells["random_soft_augmented_own"].recipe == judged["random"].recipe
    assert planned.teacher is not None


def test_a_protocol_that_trains_the_set_on_hard_labels_can_have_them_switched():
    protocol, lab = protocols.load("ddranking-aug-quick@1"), Lab(SOURCE, tiny.CPU)
    cells = {arm.name: arm for arm in attribution.plan(subject(), protocol, lab).plan.arms}
    assert cells["subject_hard_augmented_own"].recipe.labels == "hard"
    assert cells["subject_soft_augmented_own"].recipe.labels == "teacher"


def test_a_bank_is_refused_as_its_labels_belong_to_its_views():
    protocol, lab = protocols.load("rd3-quick@1").changed({"bank": "abc"}), Lab(SOURCE, tiny.CPU)
    with pytest.raises(HydrometerError, match=r"labels online; use rd3-quick@1 without a bank"):
        attribution.plan(subject(), protocol, lab)


def test_a_protocol_without_anything_to_switch_but_images_attributes_all_to_them(tmp_path):
    protocol = small("as-dc@1", epochs="2")
    found = run(tmp_path, subject(), protocol)
    assert shares(found) == {"images": pytest.approx(found.total.value)}
    assert len(found.notices) >= 3


def test_factors_that_cannot_be_switched_are_named_and_the_rest_goes_on(tmp_path):
    everything = from_rows(SOURCE, torch.arange(90).repeat(2), method="twice", budget="ipc=60")
    protocol = small(augment="flip", epochs="1", seeds="2")
    found = run(tmp_path, everything, protocol)
    left = {out.factor: out for out in found.left_out}
    assert set(left) == {"images", "recipe"}
    assert "too few images of class 'bar 0'" in left["images"].reason
    assert left["images"].level == "subject"
    assert any(notice.startswith("images left out") for notice in found.notices)


def test_nothing_to_switch_and_nothing_to_train_are_refused():
    lab, protocol = Lab(SOURCE, tiny.CPU), small("as-dc@1")
    everything = from_rows(SOURCE, torch.arange(90).repeat(2), method="twice", budget="ipc=60")
    with pytest.raises(HydrometerError, match=r"no factor can be switched.*images.*recipe"):
        attribution.plan(everything, protocol, lab, reference=protocol.settings)
    empty = from_rows(SOURCE, torch.arange(0), method="none", budget="ipc=0")
    with pytest.raises(HydrometerError, match="no images"):
        attribution.plan(empty, protocol, lab)


def test_the_page_tells_the_sentence_and_draws_every_part(tmp_path):
    found = run(tmp_path, subject(), small(epochs="2"))
    hostile = found.model_copy(
        update={"card": found.card.model_copy(update={"method": "<script>x"})}
    )
    page.write(tmp_path / "a.html", hostile, command="hydrometer attribute x")
    written = (tmp_path / "a.html").read_text()
    assert "<script" not in written
    assert escape(unbroken(words.sentence(found))) in written
    assert written.count("<rect") == len(found.parts) + 2
    page.write(tmp_path / "b.html", hostile, command="hydrometer attribute x")
    assert (tmp_path / "b.html").read_text() == written


def test_one_seed_has_no_interval_and_says_so(tmp_path):
    found = run(tmp_path, subject(), small(epochs="1", seeds="1"))
    assert (found.total.low, found.total.high) == (-1.0, 1.0)
    assert any("n=1 seed" in notice for notice in found.notices)
