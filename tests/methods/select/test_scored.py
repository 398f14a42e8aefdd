import numpy as np
import pytest

import tiny
from hydrometer.methods.select.scored import ScoredSet, read_policy, select
from hydrometer.types import Budget, HydrometerError, Spec

SOURCE = tiny.source(classes=3, per_class=5)
DIFFICULTY = np.arange(15.0)[::-1].copy()


def chosen(budget, **how):
    rng = np.random.default_rng(0)
    return select(SOURCE, budget, DIFFICULTY, method=Spec("some"), seconds=2.0, rng=rng, **how)


def test_the_easiest_of_each_class_become_the_set():
    made = chosen(Budget(per_class=2))
    assert made.index.tolist() == [4, 3, 9, 8, 14, 13]
    assert made.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (made.images == SOURCE.train.images[made.index]).all()
    assert isinstance(made, ScoredSet)
    assert made.scores.tolist() == DIFFICULTY[made.index].tolist()


def test_the_card_names_every_choice_and_the_cost_of_the_scores():
    made = chosen(Budget(per_class=1), policy="window(offset=0.4)", notes=("said",))
    assert made.card.method == "some(balance=class,cutoff=0.0,policy=window(offset=0.4))"
    assert made.card.seconds >= 2.0
    assert made.card.notes == ("said",)
    assert made.index.tolist() == [2, 7, 12]


@pytest.mark.parametrize(
    ("budget", "size"),
    [
        (Budget(fraction=0.0), 0),
        (Budget(fraction=1.0), 15),
        (Budget(per_class=0), 0),
        (Budget(bytes=65 * 4), 4),
    ],
    ids=str,
)
def test_budgets_are_met_exactly(budget, size):
    assert len(chosen(budget)) == size


def test_scores_may_stand_in_for_the_keys_of_a_draw():
    assert chosen(Budget(per_class=1), scores=np.arange(15)).scores.tolist() == [4, 9, 14]


@pytest.mark.parametrize("text", ["easy(offset=0.1)", "stratified(offset=0.1)", "window(strata=3)"])
def test_a_policy_refuses_arguments_of_another(text):
    with pytest.raises(HydrometerError, match="is unknown"):
        read_policy(text)


def test_policies_are_read_with_their_argument():
    assert read_policy("stratified(strata=7)") == ("stratified", {"strata": 7})
    assert read_policy("hard") == ("hard", {})
