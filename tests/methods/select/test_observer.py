import pytest
import torch

import tiny
from hydrometer.methods import features
from hydrometer.methods.select import observer


@pytest.fixture(autouse=True)
def _small_observer(monkeypatch):
    for module in (features, observer):
        monkeypatch.setattr(module, "observer_recipe", lambda source: tiny.recipe())


def test_head_holds_the_weights_of_the_last_layer():
    source = tiny.source(classes=3, per_class=8)
    teacher = observer.network(source)
    last = [m for m in teacher.model.modules() if isinstance(m, torch.nn.Linear)][-1]
    torch.testing.assert_close(observer.head(teacher, source.train.images), last.weight)


def test_a_look_sees_what_was_observed():
    source = tiny.source(classes=3, per_class=8)
    seen = observer.see(source)
    found, logits = observer.look(observer.network(source), source.train.images)
    torch.testing.assert_close(found, seen.features)
    torch.testing.assert_close(logits, seen.logits)
    assert seen.seconds > 0
