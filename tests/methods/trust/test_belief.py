"""What trust says beside labels reaches real batches, networks in training, experts and teachers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer import digest, students
from hydrometer.artifact.rows import believed, believing, whole
from hydrometer.engine.data import Images, Lens
from hydrometer.execute.lab import Lab
from hydrometer.methods.decouple import recover
from hydrometer.methods.match import experts
from hydrometer.methods.match.pool import Pool
from hydrometer.methods.match.sampler import Sampler
from hydrometer.methods.stitch import rded
from hydrometer.methods.trust.report import Recall, compose
from hydrometer.methods.trust.wrapper import trusted
from hydrometer.types import Belief, Spec, Split

SOURCE = tiny.source(classes=3, per_class=12)
LABELS = SOURCE.train.labels
N = len(LABELS)
STUDENT = students.spec("convnet(depth=1,width=4)")
SURE = F.one_hot(LABELS, 3).float()
EVERY_THIRD = torch.arange(N) % 3 == 0


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path))


def believing_in(weight, target=SURE, images=SOURCE.train.images):
    belief = Belief(torch.as_tensor(weight, dtype=torch.float32), target)
    train = Split(images, LABELS, SOURCE.train.index, belief)
    name = digest.of_tensors(belief.weight, belief.target, images, salt=SOURCE.digest)
    return replace(SOURCE, train=train, digest=name)


def without(rows):
    train = SOURCE.train
    return replace(SOURCE, train=Split(train.images[~rows], LABELS[~rows], train.index[~rows]))


def lens(source=SOURCE):
    return Lens(source, Spec("normalise"), tiny.CPU)


def sampler(source):
    # Of the whole source, so that all see the same pixels.
    return Sampler(source, lens(), [0, 1, 2], np.random.default_rng(0))


def report(recalled=()):
    given = LABELS.numpy()
    back = np.isin(np.arange(N), recalled)
    reliability = np.tile([0.1, 0.2, 0.7], (N, 1))
    split = ~back & (np.arange(N) != 1)
    found = Recall(reliability, back, back)
    return compose("test", given, np.ones(N), split, np.full(N, 2), found)


def test_weights_and_targets_of_kept_images_come_along_where_labels_were_mended():
    found = trusted(SOURCE, report(recalled=[3, 4])).train
    mended = (found.index == SOURCE.train.index[3]) | (found.index == SOURCE.train.index[4])
    assert mended.sum() == 2 and len(found.belief.weight) == len(found) == N - 1
    torch.testing.assert_close(found.belief.weight, torch.where(mended, 0.7, 1.0))
    torch.testing.assert_close(found.belief.target[mended], torch.tensor([[0.1, 0.2, 0.7]] * 2))
    assert torch.equal(found.belief.target[~mended], F.one_hot(found.labels, 3).float()[~mended])


def test_sources_without_mended_labels_are_what_they_were():
    found = trusted(SOURCE, report())
    assert found.train.belief is None
    wanted = digest.of_tensors(
        found.train.index, found.train.labels, salt=f"trust@1/{SOURCE.digest}"
    )
    assert found.digest == wanted
    assert believed(SOURCE).digest == whole(SOURCE).digest
    how = tiny.recipe()
    assert believing(how, SOURCE) is how


def test_another_belief_in_the_same_labels_is_another_source():
    one, other = report(recalled=[30]), report(recalled=[30])
    other.weight[30] = 0.6
    assert trusted(SOURCE, one).digest != trusted(SOURCE, other).digest


def test_class_means_of_real_images_are_weighted():
    weight = torch.linspace(0.1, 1.0, N)
    drawing = sampler(believing_in(weight))
    images, layout = drawing.draw(100)
    found = layout.mean(images.flatten(2))
    for label in range(3):
        mine = label == LABELS
        pixels = lens()(SOURCE.train.images[mine]).flatten(1)
        wanted = (weight[mine, None] * pixels).sum(0) / weight[mine].sum()
        torch.testing.assert_close(found[label], wanted)


@pytest.mark.parametrize("count", [4, 100])
def test_images_without_weight_are_as_if_dropped(count):
    weight = torch.where(EVERY_THIRD, 0.0, 1.0)
    one, layout = sampler(believing_in(weight)).draw(count)
    other, same = sampler(without(EVERY_THIRD)).draw(count)
    assert torch.equal(one, other) and torch.equal(layout.share, same.share)


@pytest.mark.parametrize("count", [4, 100])
def test_full_weight_everywhere_draws_the_same_batches(count):
    one, layout = sampler(believing_in(torch.ones(N))).draw(count)
    other, same = sampler(SOURCE).draw(count)
    assert torch.equal(one, other)
    assert torch.equal(layout.rows, same.rows) and torch.equal(layout.share, same.share)


def pool(source):
    found = Pool(STUDENT, source, Images(source.train.images, lens()), 2, np.random.default_rng(0))
    found.grow()
    found.train(1, 3)
    return found.members[0].weights


def test_networks_in_training_learn_targets_by_weight():
    weight, target = torch.linspace(0.0, 1.0, N), torch.full((N, 3), 1 / 3)
    source = believing_in(weight, target)
    found = Pool(STUDENT, source, Images(source.train.images, lens()), 2, np.random.default_rng(0))
    logits, rows = torch.randn(5, 3), torch.tensor([3, 9, 20, 21, 30])
    each = -logits.log_softmax(-1).mean(-1)
    wanted = (weight[rows] * each).sum() / weight[rows].sum()
    torch.testing.assert_close(found._loss(logits, rows), wanted)


def test_a_network_in_training_that_is_sure_of_all_labels_is_the_usual_one():
    torch.testing.assert_close(pool(believing_in(torch.ones(N))), pool(SOURCE))
    assert not torch.allclose(pool(believing_in(torch.linspace(0.01, 1, N))), pool(SOURCE))


def expert(source, epochs=2):
    how = experts.recipe(STUDENT, epochs=epochs, lr=0.05, batch=8, whiten=Spec("normalise"))
    return experts.obtain(source, lens(), how, 1)[0]


def test_experts_sure_of_all_labels_are_the_usual_ones():
    found = expert(believing_in(torch.ones(N)))
    torch.testing.assert_close(found.at(2), expert(SOURCE).at(2), rtol=1e-4, atol=1e-5)
    assert found.path.parent != expert(SOURCE).path.parent


def test_experts_hear_nothing_of_images_without_weight():
    weight = torch.where(EVERY_THIRD, 0.0, 1.0)
    nonsense = torch.where(EVERY_THIRD[:, None], SURE.roll(1, dims=1), SURE)
    one, other = expert(believing_in(weight)), expert(believing_in(weight, nonsense))
    assert torch.equal(one.at(2), other.at(2))
    assert not torch.equal(one.at(2), expert(believing_in(torch.ones(N), nonsense)).at(2))


def test_experts_learn_soft_targets():
    vague = torch.full((N, 3), 1 / 3)
    found = expert(believing_in(torch.ones(N), vague), epochs=20)
    model = students.create(STUDENT, SOURCE.shape, 3, 0)
    torch.nn.utils.vector_to_parameters(found.at(20), model.parameters())
    shares = model(lens()(SOURCE.train.images)).softmax(-1)
    torch.testing.assert_close(shares, vague, atol=0.1, rtol=0)


@pytest.mark.parametrize(
    "squeeze",
    [
        lambda source: recover._squeezed(source, recover.networks_for(source, "")[0], 1),
        lambda source: rded._teacher(source, "network", ""),
    ],
    ids=["decoupled", "rded"],
)
def test_teachers_learn_targets_by_weight(squeeze, monkeypatch):
    taught = []
    monkeypatch.setattr(Lab, "teach", lambda self, trial, data: taught.append((trial, data)))
    weight, target = torch.linspace(0.1, 1.0, N), SURE * 0.7 + 0.1
    squeeze(believing_in(weight, target))
    trial, data = taught.pop()
    assert (trial.recipe.labels, trial.recipe.loss.name) == ("given", "soft-cross-entropy")
    assert torch.equal(data.weights, weight)
    torch.testing.assert_close(data.soft.softmax(-1), target)
    squeeze(SOURCE)
    trial, data = taught.pop()
    assert trial.recipe.labels == "hard" and data.soft is None and data.weights is None
