import dataclasses

import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer import digest, protocols, registry
from hydrometer.protocols import Case
from hydrometer.types import HydrometerError
from hydrometer.verdict import teacher_job

RELEASED = {
    "as-cda-quick@1": "25b674494f14a4d28c49",
    "as-cda@1": "a695404a25bc7b1ad6f3",
    "as-cv-dd-small@1": "5c4a011b6db4bbad2f21",
    "as-cv-dd@1": "ad734cd37f947eee4694",
    "as-d4m@1": "d87f3f17cc260cce5bca",
    "as-datm@1": "412dfd22337edddd15b9",
    "as-datm@2": "6a8d14d69715216640fb",
    "as-dc@1": "d5c1401b544368063a6f",
    "as-delt@1": "14d1bd301d7436af0a12",
    "as-dsa@1": "edae98f5e32073ab8578",
    "as-dwa-quick@1": "08c443b2b94bac395eb7",
    "as-dwa-small@1": "12edb3205009e97d4b0b",
    "as-dwa-tiny@1": "08f0357696d7198b2cf3",
    "as-dwa@1": "a695404a25bc7b1ad6f3",
    "as-edc-cifar10@1": "3842b63b9e8ffb58d168",
    "as-edc-quick@1": "059c570cad0f058396d1",
    "as-edc-small@1": "2c70c24bea7754d12270",
    "as-edc-tiny@1": "a99334e4d887bd75851d",
    "as-edc@1": "cbd33a8bdd384df0524d",
    "as-gvbsm-quick@1": "c5f017c5c3fdf54fc953",
    "as-gvbsm-small@1": "dd7cf3c8e964b74e04df",
    "as-gvbsm-tiny@1": "803f390555481a642a66",
    "as-gvbsm@1": "e96c96ef6982c5d46eda",
    "as-idm@1": "edae98f5e32073ab8578",
    "as-lpld-tiny@1": "660203df5d62c0201ea8",
    "as-lpld@1": "a695404a25bc7b1ad6f3",
    "as-minimax@1": "86a337d7061011977b86",
    "as-mtt@1": "7903d80d2acd10df2a5d",
    "as-rded-quick@1": "971c4fb5a4987ac28bf5",
    "as-rded-small@1": "9f1ffbec75cb905c1ff6",
    "as-rded@1": "12a9c8c4ddf4e0d41cf9",
    "as-sre2l-quick@1": "08c443b2b94bac395eb7",
    "as-sre2l-small@1": "12edb3205009e97d4b0b",
    "as-sre2l-tiny@1": "39294af1b6c667bb698f",
    "as-sre2l@1": "d87f3f17cc260cce5bca",
    "ddranking-aug-quick@1": "c4c2465a5ec59f74d22d",
    "ddranking-aug@1": "c258b40aa4dabe99eeb8",
    "ddranking-hard-quick@1": "8f41ae3789cdc122d944",
    "ddranking-hard@1": "9786566ab53463890b45",
    "ddranking-soft-quick@1": "1b7d8088eecbdd1e17f9",
    "ddranking-soft@1": "3d6d5b2595014301abca",
    "noisy-quick@1": "ac227421edfa668ebd7e",
    "noisy@1": "74f162af9a047901af62",
    "rd3-cross@1": "f66e5b6da17d15c3eee3",
    "rd3-quick@1": "cdaf39566f82274c1987",
    "rd3-small@1": "c6108de8b7d65597ba7e",
    "rd3@1": "f66e5b6da17d15c3eee3",
    "rethink-hard-compute@1": "0072d8a3be77bbb2f116",
    "rethink-hard-quick@1": "97e16bf085f06114f83c",
    "rethink-hard-small-compute@1": "f144a8c02d934b48bac8",
    "rethink-hard-small-steps@1": "f144a8c02d934b48bac8",
    "rethink-hard-small@1": "f144a8c02d934b48bac8",
    "rethink-hard-steps@1": "0072d8a3be77bbb2f116",
    "rethink-hard@1": "0072d8a3be77bbb2f116",
    "rethink-soft-compute@1": "e9afaf6129f7974008d6",
    "rethink-soft-quick@1": "24169d8061bfcb6ebdd6",
    "rethink-soft-small-compute@1": "c0fd11363b5baaf7a935",
    "rethink-soft-small-steps@1": "c0fd11363b5baaf7a935",
    "rethink-soft-small@1": "c0fd11363b5baaf7a935",
    "rethink-soft-steps@1": "e9afaf6129f7974008d6",
    "rethink-soft@1": "e9afaf6129f7974008d6",
}
SOURCE = tiny.source()


def case():
    return Case(tiny.job(SOURCE).data, SOURCE, ())


@pytest.mark.parametrize("name", registry.names("protocol"))
def test_released_protocols_never_change(name):
    """Mend by releasing a new version, not by editing this table."""
    assert digest.of(protocols.load(name).settings) == RELEASED[name]


def test_arms_share_seeds_and_draws_and_differ_in_rates_only_by_the_grid():
    protocol = protocols.load("ddranking-hard@1")
    subject, random, full = protocol.arms(case())
    assert subject.seeds == random.seeds == (0, 1, 2, 3, 4)
    assert subject.rates == random.rates == protocols.RATES
    assert len({s.digest for s in random.sets}) == 5
    again = protocol.arms(case())[1]
    assert [s.digest for s in random.sets] == [s.digest for s in again.sets]
    assert len(full.rates) == 1
    assert len(full.sets[0]) == len(SOURCE.train)


def test_random_sets_match_the_subject_class_by_class():
    given = case()
    counts = given.subject.labels.bincount(minlength=3)
    for drawn in protocols.random_sets(given, protocols.load("as-dc@1").settings):
        assert drawn.labels.bincount(minlength=3).equal(counts)


def test_a_changed_setting_shows_in_the_name_and_reads_back():
    changed = protocols.load("ddranking-hard@1").changed({"epochs": "100", "seeds": "3"})
    assert changed.name == "ddranking-hard@1{epochs=100,seeds=3}"
    assert protocols.load(changed.name) == changed
    assert changed.settings.epochs == 100


def test_two_ways_to_change_the_same_thing_get_one_name():
    once = protocols.load("ddranking-hard@1{seeds=3}").changed({"epochs": "7"})
    assert once.name == protocols.load("ddranking-hard@1{epochs=7,seeds=3}").name


def test_changing_nothing_keeps_the_name():
    assert protocols.load("ddranking-hard@1").changed({"epochs": "1000"}).name == "ddranking-hard@1"


def test_the_version_may_be_left_out():
    assert protocols.load("ddranking-hard").name == "ddranking-hard@1"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ddranking-hart@1", "did you mean 'ddranking-hard@1'"),
        ("ddranking-hard@1{epoch=3}", "did you mean 'epochs'"),
        ("ddranking-hard@1{epochs=many}", "epochs='many'"),
        ("ddranking-hard@1{epochs=0}", "out of range"),
        ("ddranking-hard@1{precision=float8}", "float32, bfloat16"),
        ("ddranking-hard@1{student=convnett}", "convnet"),
        ("ddranking-hard@1{rates=}", "rates"),
        ("ddranking-hard@1{rates=inf}", "out of range"),
        ("ddranking-hard@1{loss=kl}", "hard labels"),
        ("as-datm@1{average=2.0}", "out of range"),
    ],
)
def test_mistakes_are_named(text, hint):
    with pytest.raises(HydrometerError, match=hint):
        protocols.load(text)


def test_soft_protocol_uses_own_labels_for_the_subject_and_the_teacher_for_random():
    given = case()
    soft = given.subject.labels.new_zeros(len(given.subject), 3).float()
    import dataclasses

    subject = dataclasses.replace(given.subject, soft=soft)
    arms = {
        a.name: a
        for a in protocols.load("ddranking-soft@1").arms(Case(subject, SOURCE, ("teacher-digest",)))
    }
    assert arms["subject"].recipe.labels == "given"
    assert arms["random"].recipe.labels == "fixed"
    assert arms["random"].recipe.teacher == ("teacher-digest",)
    assert arms["subject_hard"].recipe.labels == "hard"


def test_aug_protocol_crosses_sets_and_augmentation():
    arms = {a.name: a for a in protocols.load("ddranking-aug@1").arms(case())}
    assert set(arms) == {"subject_aug", "random_aug", "subject_naug", "random_naug"}
    assert arms["subject_naug"].recipe.augment == ()
    assert arms["subject_aug"].recipe.augment == protocols.DSA


def test_as_datm_refuses_a_set_without_soft_labels():
    with pytest.raises(HydrometerError, match="soft labels"):
        protocols.load("as-datm@1").arms(case())


@pytest.mark.parametrize("learned", [None, 0.04])
def test_as_mtt_takes_the_learned_rate_for_both_arms(learned):
    given = case()
    card = given.subject.card.model_copy(update={"student_lr": learned})
    given = dataclasses.replace(given, subject=dataclasses.replace(given.subject, card=card))
    subject, random = protocols.load("as-mtt@1").arms(given)
    assert subject.rates == random.rates == (learned or 0.01,)
    assert subject.recipe == random.recipe
    assert subject.recipe.whiten.name == "zca" and subject.recipe.labels == "hard"
    card = card.model_copy(update={"student_lr": 0.0})
    wrong = dataclasses.replace(given, subject=dataclasses.replace(given.subject, card=card))
    with pytest.raises(HydrometerError, match="above 0"):
        protocols.load("as-mtt@1").arms(wrong)


def test_a_teacher_is_of_the_students_kind_unless_it_is_named():
    other, named = (
        protocols.load(f"rd3-small@1{{{changes}}}")
        for changes in ("student=convnet-3", "student=convnet-3,teacher.student=resnet-18")
    )
    students = [
        teacher_job(protocol, SOURCE).trial.recipe.student.name for protocol in (other, named)
    ]
    assert students == ["convnet", "resnet"]
    assert protocols.load(named.name) == named
    assert named.arms(case())[0].recipe.student == other.arms(case())[0].recipe.student
    with pytest.raises(HydrometerError, match="set student"):
        protocols.load("ddranking-hard@1{full.student=resnet-18}")


def test_as_idm_trains_on_all_enlarged_tiles_and_on_whole_images():
    given = case()
    images = given.subject.images
    arms = {a.name: a for a in protocols.load("as-idm@1").arms(given)}
    (tiles,), (whole,) = arms["subject"].sets, arms["subject_whole"].sets
    assert whole is given.subject and tiles.digest != whole.digest
    assert tiles.labels.tolist() == [c for c in whole.labels.tolist() for _ in range(4)]
    quarters = [images[..., i : i + 4, j : j + 4] for i in (0, 4) for j in (0, 4)]
    for place, quarter in enumerate(quarters):
        wanted = F.interpolate(quarter / 255, size=(8, 8), mode="bilinear")
        torch.testing.assert_close(tiles.images[place::4], wanted)
    assert [len(s) for s in arms["random"].sets] == [len(whole)] * 5
    assert arms["subject"].recipe == arms["random"].recipe


def test_as_idm_keeps_weights_with_their_tiles_and_drops_soft_labels():
    given = case()
    n = len(given.subject)
    subject = dataclasses.replace(
        given.subject, weights=torch.arange(n).float(), soft=torch.zeros(n, 3)
    )
    tiles = protocols.load("as-idm@1").arms(Case(subject, SOURCE, ()))[0].sets[0]
    assert tiles.weights.tolist() == [float(i) for i in range(n) for _ in range(4)]
    assert tiles.soft is None and tiles.index is None


@pytest.mark.parametrize(
    "device, native, student, expected",
    [
        ("cpu", "bfloat16", "convnet-3", "bfloat16"),
        ("cpu", "float32", "convnet-3", "float32"),
        ("cuda", "bfloat16", "convnet-3", "float32"),
        ("cpu", "bfloat16", "convnet(depth=3,norm=instance,width=64)", "float32"),
        ("cpu", "bfloat16", "convnet-2", "float32"),
        ("cpu", "bfloat16", "resnet-18", "float32"),
    ],
)
def test_auto_is_reduced_only_where_it_was_cleared(monkeypatch, device, native, student, expected):
    monkeypatch.setattr(protocols, "default_device", lambda: torch.device(device))
    monkeypatch.setattr(protocols, "native_precision", lambda device: native)
    chosen = protocols.load("ddranking-hard@1").changed({"student": student})
    assert protocols.precision(chosen.settings, tiny.source()) == expected
    for asked in ("float32", "bfloat16"):
        told = chosen.changed({"precision": asked}).settings
        assert protocols.precision(told, tiny.source()) == asked
