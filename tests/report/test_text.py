import pytest

from hydrometer.report import text
from hydrometer.types import Cost, HydrometerError


@pytest.mark.parametrize(
    ("fraction", "digits", "said"),
    [(0.9124, 1, "91.2"), (1.0, 1, "100.0"), (-0.05, 1, "−5.0"), (-0.0001, 1, "0.0"),
     (0.123456, 3, "12.346"), (0.5, 0, "50")],
)  # fmt: skip
def test_percent(fraction, digits, said):
    assert text.percent(fraction, digits) == said


def test_interval_carries_its_unit_behind_the_value(estimate_of):
    found = estimate_of(0.912, 0.901, 0.92)
    assert text.interval(found) == "91.2 [90.1, 92.0]"
    assert text.interval(found, "%") == "91.2 % [90.1, 92.0]"


@pytest.mark.parametrize(
    ("metric", "said"),
    [("accuracy", "5.0 % [−1.0, 6.0]"), ("accuracy:full", "5.0 % [−1.0, 6.0]"),
     ("hlr", "5.0 points [−1.0, 6.0]"), ("ior", "5.0 points [−1.0, 6.0]"),
     ("lrs(w=0.3)", "5.0 [−1.0, 6.0]"), ("ars", "5.0 [−1.0, 6.0]")],
)  # fmt: skip
def test_estimates_carry_their_metric_s_unit(metric, said, estimate_of):
    assert text.estimate(estimate_of(0.05, -0.01, 0.06), metric) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12.3 kB"), (999_949, "999.9 kB"),
     (999_950, "1.0 MB"), (30 * 10**9, "30.0 GB")],
)  # fmt: skip
def test_bytes(n, said):
    assert text.bytes(n) == said


@pytest.mark.parametrize(
    ("said", "n"),
    [("200kB", 200_000), ("1.5 MB", 1_500_000), ("64KiB", 65_536), ("7", 7), ("12 B", 12),
     ("2g", 2 * 10**9), ("1MiB", 2**20), ("0", 0), ("0 kB", 0)],
)  # fmt: skip
def test_read_bytes(said, n):
    assert text.read_bytes(said) == n


@pytest.mark.parametrize("said", ["", "kB", "-3kB", "3 apples", "1e3", "5iB", "0.1B"])
def test_a_size_that_cannot_be_read_is_the_user_s_mistake(said):
    with pytest.raises(HydrometerError, match="size"):
        text.read_bytes(said)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0, "0 s"), (0.004, "4 ms"), (0.0994, "99 ms"), (0.0996, "0.1 s"), (9.94, "9.9 s"),
     (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"),
     (3599.4, "59 min 59 s"), (3599.6, "1 h 0 min"), (7260, "2 h 1 min"),
     (86_399, "1 d 0 h"), (90_000, "1 d 1 h")],
)  # fmt: skip
def test_duration(seconds, said):
    assert text.duration(seconds) == said


@pytest.mark.parametrize(
    ("stored", "said"),
    [("ipc=10", "10 per class"), ("images=1234", "1,234 images"), ("bytes=200000", "200.0 kB"),
     ("fraction=0.1", "10 % of train"), ("ipc=many", "ipc=many"), ("unheard of", "unheard of")],
)  # fmt: skip
def test_budget(stored, said):
    assert text.budget(stored) == said


def test_cost_says_what_is_left():
    said = text.cost(Cost(students=25, done=5, steps=12_000, seconds=75.0), "p@1 of s", "cpu")
    assert (
        said
        == "p@1 of s: 20 students to train on cpu, 5 of 25 stored, 12,000 steps, about 1 min 15 s"
    )
    said = text.cost(Cost(students=1, done=0, steps=10), "p@1 of s", "cpu")
    assert said == "p@1 of s: 1 student to train on cpu, 10 steps"
    said = text.cost(Cost(students=25, done=25, steps=0, seconds=0.0), "p@1 of s", "cpu")
    assert text.cost(Cost(0, 0, 0), "p", "cpu") == "p: nothing to train"
    assert text.cost(Cost(1, 1, 0), "p", "cpu") == "p: the one student is stored, nothing to train"
    assert text.cost(Cost(1, 0, 1), "p", "cpu") == "p: 1 student to train on cpu, 1 step"
    assert said == "p@1 of s: all 25 students are stored, nothing to train"


def test_arms_in_words():
    assert text.arm("subject_hard") == "this set, hard labels"
    assert text.arm("random_naug") == "random images, not augmented"
    assert text.arm("novelty") == "novelty"


def test_row_has_arms_first_then_metrics(make_verdict):
    row = text.row(make_verdict())
    assert (row.method, row.source, row.protocol) == ("herding", "tiny", "ddranking-hard-quick@1")
    assert (row.budget, row.bytes) == ("2 per class", "12.3 kB")
    assert [r.heading for r in row.readings] == [
        "this set", "random images", "full data", "HLR", "IOR", "LRS"
    ]  # fmt: skip
    assert [str(r) for r in row.readings][-3:] == [
        "6.7 points [5.0, 8.0]", "3.2 points [1.0, 5.0]", "26.3 [25.0, 27.0]"
    ]  # fmt: skip
    assert [r.n for r in row.readings] == ["5", "5", "3", "5", "5", "5"]


def test_row_keeps_the_name_of_a_metric_that_is_not_installed(make_verdict, estimate_of):
    row = text.row(
        make_verdict(estimates={"zeal": estimate_of(0.5), "lrs(w=0.3)": estimate_of(0.2)})
    )
    assert [r.heading for r in row.readings] == ["ZEAL", "LRS(w=0.3)"]


def test_sentence(make_verdict):
    said = "herding keeps 91.2 % [90.1, 92.0] where 2 random images per class reach 88.0 %"
    assert text.sentence(make_verdict()) == f"{said} and the full data 97.9 %."
    assert text.sentence(make_verdict(), 1297) == f"{said} and all 1,297 images 97.9 %."


@pytest.mark.parametrize("gain", [(0.001, -0.01, 0.02), (-0.01, -0.02, 0.0)])
def test_sentence_calls_a_tie_a_tie(gain, make_verdict):
    assert text.sentence(make_verdict(gain=gain)).endswith(
        "; the difference from random may be chance."
    )


@pytest.mark.parametrize(("n", "said"), [(4, "4 seeds do"), (1, "1 seed does")])
def test_sentence_claims_nothing_from_few_seeds(make_verdict, n, said):
    verdict = make_verdict()
    few = verdict.estimates["ior"].model_copy(update={"n": n})
    verdict = verdict.model_copy(update={"estimates": verdict.estimates | {"ior": few}})
    assert text.sentence(verdict).endswith(
        f"; {said} not tell whether the difference from random is chance."
    )


def test_sentence_without_baselines(make_verdict, estimate_of):
    alone = {"accuracy:subject": estimate_of(0.5, 0.4, 0.6)}
    assert text.sentence(make_verdict(estimates=alone)) == "herding reaches 50.0 % [40.0, 60.0]."
    full = alone | {"accuracy:full": estimate_of(0.9)}
    assert text.sentence(make_verdict(estimates=full)) == (
        "herding keeps 50.0 % [40.0, 60.0] where the full data reach 90.0 %."
    )
    assert text.sentence(make_verdict(estimates={})) == "herding was not measured by itself."


def test_sentence_compares_arms_of_the_same_kind(make_verdict, make_set, estimate_of):
    names = {"subject_aug": 0.5, "random_naug": 0.1, "random_aug": 0.2, "subject_naug": 0.3}
    estimates = {f"accuracy:{name}": estimate_of(value) for name, value in names.items()}
    said = text.sentence(make_verdict(make_set(budget="ipc=1"), estimates=estimates))
    assert (
        said == "herding keeps 50.0 % [50.0, 50.0] where 1 random image per class reaches 20.0 %."
    )
