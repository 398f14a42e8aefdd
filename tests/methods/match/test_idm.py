import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tiny
from hydrometer import methods, registry, sources, students
from hydrometer.artifact.composites import expand
from hydrometer.engine.data import Images, Lens
from hydrometer.methods.match.idm import terms
from hydrometer.methods.match.images import begin
from hydrometer.methods.match.journal import State
from hydrometer.methods.match.networks import flat, fresh
from hydrometer.methods.match.outer import Judge
from hydrometer.methods.match.pool import Pool
from hydrometer.methods.match.sampler import arrange
from hydrometer.testing.methods import MethodContract
from hydrometer.types import Budget, HydrometerError

STUDENT = students.spec("convnet(depth=1,width=4)")
QUICK = "iterations=3,batch=8,checks=0,student=mlp,steps=2"


class TestIdm(MethodContract):
    @pytest.fixture
    def name(self):
        return f"idm({QUICK},factor=2,every=2)"


def compress(spec, count=2, source=None):
    return methods.compress(
        source or tiny.source(),
        registry.parse(spec),
        Budget(per_class=count),
        rng=np.random.default_rng(0),
    )


def enlarged(tile, h, w):
    """Bilinear interpolation between pixel centres, edges repeated, one pixel at a time."""

    def place(i, new, old):
        at = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
        low = int(at)
        return low, min(low + 1, old - 1), at - low

    found = torch.zeros(h, w)
    for y in range(h):
        for x in range(w):
            up, down, v = place(y, h, tile.shape[0])
            left, right, u = place(x, w, tile.shape[1])
            top = (1 - u) * tile[up, left] + u * tile[up, right]
            bottom = (1 - u) * tile[down, left] + u * tile[down, right]
            found[y, x] = (1 - v) * top + v * bottom
    return found


@pytest.mark.parametrize(("h", "w"), [(4, 4), (5, 6)])
def test_expanded_tiles_are_enlarged_bilinearly(h, w):
    images = torch.rand(2, 1, h, w, generator=torch.Generator().manual_seed(0))
    found = expand(images, 2)
    assert found.shape == (8, 1, h, w)
    tall, wide = -(-h // 2), -(-w // 2)
    for i in range(2):
        quarters = [
            images[i, 0, rows, columns]
            for rows in (slice(0, tall), slice(tall, h))
            for columns in (slice(0, wide), slice(wide, w))
        ]
        for tile, got in zip(quarters, found[4 * i : 4 * i + 4, 0], strict=True):
            torch.testing.assert_close(got, enlarged(tile, h, w))
    assert expand(images, 1) is images


def test_terms_are_means_and_cross_entropies_of_each_class_alone():
    model = students.create(STUDENT, (1, 8, 8), 3, 0)
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    groups, labels = [torch.tensor([0, 1, 4]), torch.tensor([2, 3])], torch.tensor([2, 0])
    layout = arrange(groups)
    means, surprise = terms(model, images[layout.rows], layout, labels)
    for k, group in enumerate(groups):
        features, logits = students.features(model, images[group])
        torch.testing.assert_close(means[k], features.mean(0))
        p = logits.softmax(-1)[:, labels[k]]
        torch.testing.assert_close(surprise[k], -p.log().mean())


class Recorded:
    """A generator that keeps the batches it draws."""

    def __init__(self):
        self.rng, self.drawn = np.random.default_rng(1), []

    def integers(self, high):
        return self.rng.integers(high)

    def choice(self, n, count, replace):
        self.drawn.append(self.rng.choice(n, count, replace=replace))
        return self.drawn[-1]


def pool(rng, size=3):
    source = tiny.source()
    images = Images(source.train.images, Lens(source, None, tiny.CPU))
    return Pool(STUDENT, source, images, size, rng)


def test_networks_are_trained_as_torchs_sgd_trains_them():
    rng = Recorded()
    networks = pool(rng)
    networks.grow()
    model = fresh(STUDENT, tiny.source(), np.random.default_rng(1), tiny.CPU)
    assert torch.equal(flat(model), networks.members[0].weights)
    networks.train(1, 4)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    right = []
    for rows in rng.drawn[1:]:
        logits = model(networks.images[torch.from_numpy(rows)])
        labels = networks.labels[rows]
        right.append((logits.argmax(-1) == labels).float().mean())
        optimiser.zero_grad()
        F.cross_entropy(logits, labels).backward()
        optimiser.step()
    torch.testing.assert_close(networks.members[0].weights, flat(model))
    assert networks.members[0].accuracy == pytest.approx(float(sum(right) / 4))
    drawn, accuracy = networks.draw()
    assert torch.equal(flat(drawn), networks.members[0].weights)
    assert accuracy == networks.members[0].accuracy


def test_the_oldest_network_leaves_and_untrained_ones_are_right_about_nothing():
    networks = pool(np.random.default_rng(0), size=2)
    for _ in range(3):
        networks.grow()
        born = [m.weights for m in networks.members]
    assert len(born) == 2
    networks.grow()
    assert torch.equal(networks.members[0].weights, born[1])
    networks.train(5, 0)
    assert [m.accuracy for m in networks.members] == [0.0, 0.0]


def test_images_start_as_shrunken_real_ones_of_their_class():
    source = tiny.source(per_class=5)
    lens = Lens(source, None, tiny.CPU)
    canvas = begin(source, lens, [2, 0, 1], "real", np.random.default_rng(0), 2)
    assert canvas.labels.tolist() == [0, 0, 2]
    small = F.avg_pool2d(source.train.images.float(), 2)
    used = []
    for image, label in zip(canvas.pixels(), canvas.labels, strict=True):
        for tile in (255 * image).unfold(1, 4, 4).unfold(2, 4, 4).flatten(1, 2)[0]:
            near = (small[:, 0] - tile).abs().amax((1, 2))
            assert near.min() < 0.51
            assert source.train.labels[near.argmin()] == label
            used.append(int(near.argmin()))
    assert len(set(used[:8])) == 5  # eight tiles, and the class has five images
    assert len(set(used[8:])) == 4


def test_classes_are_kept_apart_once_networks_have_learned():
    def digest(iterations, separation):
        spec = f"idm({QUICK.replace('iterations=3', f'iterations={iterations}')}"
        return compress(f"{spec},pool=1,separation={separation})").digest

    assert digest(1, 0.0) == digest(1, 9.0)
    assert digest(3, 0.0) != digest(3, 9.0)


def test_a_set_of_tiles_says_how_to_train_on_it_and_is_judged_so():
    made = compress(f"idm({QUICK},factor=2)")
    assert any("tile-crop(factor=2,scale_min=1.0,tile=cycle)" in n for n in made.card.notes)
    assert not compress(f"idm({QUICK})").card.notes
    source = tiny.source()
    lens = Lens(source, None, tiny.CPU)
    whole = Judge(source, lens, made.labels.repeat_interleave(4), None)
    judge = Judge(source, lens, made.labels, None, 2)
    assert judge(State(made.images)) == whole(State(expand(made.images, 2)))


def test_on_digits_it_beats_random_images():
    source = sources.load("digits")
    made = compress("idm(iterations=20,checks=0)", 1, source)
    lens = Lens(source, None, tiny.CPU)
    judge = Judge(source, lens, made.labels, None)
    drawn = [begin(source, lens, [1] * 10, "real", np.random.default_rng(i)) for i in range(3)]
    assert judge(State(made.images)) > max(judge(State(c.pixels())) for c in drawn)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("idm(factor=9)", "factor=9 tiles a side"),
        ("idm(factor=0)", "factor=0 tiles a side"),
        ("idm(every=0)", "every is 0"),
        ("idm(pool=0)", "pool is 0"),
        ("idm(student=convnet-2-bn,iterations=1)", "keeps running statistics"),
        ("idm(iterations=0)", "iterations is 0"),
    ],
)
def test_mistakes_are_named(spec, said):
    with pytest.raises(HydrometerError, match=said):
        compress(spec)
