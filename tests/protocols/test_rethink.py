import pytest
import torch

import tiny
from hydrometer import methods, protocols, registry, seeds
from hydrometer.artifact.composites import rows_of, tile
from hydrometer.augment import Pipeline
from hydrometer.execute.lab import Lab
from hydrometer.protocols import Case
from hydrometer.protocols.rethink import confined, stitching
from hydrometer.sources.draw import draw
from hydrometer.store import Store
from hydrometer.types import Budget, HydrometerError, Spec
from hydrometer.verdict import evaluate, plan

SOURCE = tiny.source()
NAMES = [n for n in registry.names("protocol") if n.startswith("rethink")]


def case(method, count=2, source=SOURCE):
    rng = seeds.numpy_rng(0, "method")
    made = methods.compress(source, registry.parse(method), Budget(per_class=count), rng=rng)
    return Case(made, source, ("teacher-digest",))


def arms(name, method="random", count=2):
    return {a.name: a for a in protocols.load(name).arms(case(method, count))}


def augments(arm):
    return [str(spec) for spec in arm.recipe.augment]


def test_every_way_to_hold_cost_is_there_for_both_labels_and_sizes():
    wanted = {
        f"rethink-{labels}{size}{held}@1"
        for labels in ("hard", "soft")
        for size in ("", "-small")
        for held in ("", "-steps", "-compute")
    }
    assert wanted | {"rethink-hard-quick@1", "rethink-soft-quick@1"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_subject_and_random_differ_in_their_images_alone(name):
    found = arms(name)
    assert set(found) == {"subject", "random"}
    assert found["subject"].recipe == found["random"].recipe
    assert found["subject"].seeds == found["random"].seeds
    Pipeline(found["subject"].recipe.augment)


def test_the_hard_standard_is_the_papers():
    recipe = arms("rethink-hard@1")["subject"].recipe
    assert str(recipe.student) == "resnet(depth=18,norm=batch)"
    assert (recipe.epochs, recipe.batch, recipe.labels) == (300, 128, "hard")
    assert str(recipe.optimiser) == "adamw(decay_vectors=False,weight_decay=0.01)"
    assert [str(a) for a in recipe.augment] == ["random-resized-crop", "flip"]


def test_the_soft_standard_adds_cutmix_and_a_teacher():
    recipe = arms("rethink-soft@1")["random"].recipe
    assert str(recipe.loss) == "kl(temperature=20.0)"
    assert (recipe.labels, recipe.teacher) == ("teacher", ("teacher-digest",))
    assert str(recipe.augment[-1]) == "cutmix(alpha=1.0,per_batch=True)"


def test_composites_are_cropped_tile_by_tile_and_meet_random_composites():
    found = arms("rethink-hard-small@1", "pca(prune=random,factor=2,filter=area)")
    assert set(found) == {"subject", "random", "random_whole"}
    assert (
        augments(found["subject"]) == augments(found["random"]) == ["tile-crop(factor=2)", "flip"]
    )
    assert augments(found["random_whole"]) == ["random-resized-crop", "flip"]
    for seed, drawn in enumerate(found["random"].sets):
        rows = draw(SOURCE, [8, 8, 8], seed)
        assert torch.equal(rows_of(drawn.card).flatten(), rows)
        assert torch.equal(drawn.images, tile(SOURCE.train.images[rows], 2, filter="area"))
        assert drawn.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_random_composites_are_the_same_for_every_subject():
    one = arms("rethink-hard-small@1", "pca(prune=random,factor=2)")["random"]
    two = arms("rethink-hard-small@1", "pca(prune=herding(features=pixels),factor=2)")["random"]
    assert [s.digest for s in one.sets] == [s.digest for s in two.sets]


def test_the_control_without_confined_crops_is_a_setting():
    changed = protocols.load("rethink-hard-small@1{augment=random-resized-crop|flip}")
    found = changed.arms(case("pca(prune=random,factor=2)"))
    assert {tuple(augments(a)) for a in found} == {("random-resized-crop", "flip")}


def test_a_factor_that_is_written_out_holds_for_every_arm():
    assert confined(Spec("tile-crop", (("factor", 3),)), 2) == Spec("tile-crop", (("factor", 3),))
    assert confined(Spec("flip"), 2) == Spec("flip")


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        ("pca(factor=2,filter=area,prune=el2n)", (2, "area")),
        ("pca(factor=1,prune=el2n)", (1, "nearest")),
        ("rded(factor=2)", (1, "nearest")),
        ("idm(factor=2)", (1, "nearest")),
        ("random", (1, "nearest")),
        ("pca(factor=two)", (1, "nearest")),
        ("somebody's method, v2", (1, "nearest")),
    ],
)
def test_the_factor_is_read_from_the_card_of_pca_alone(method, wanted):
    card = case("random").subject.card.model_copy(update={"method": method})
    assert stitching(card) == wanted


def cost_of(arm):
    recipe, images = arm.recipe, len(arm.sets[0])
    return recipe.epochs * -(-images // recipe.batch), recipe.epochs * images


@pytest.mark.parametrize("count", [1, 3, 10, 15])
def test_cost_is_held_to_ten_images_per_class_up_to_half_an_epoch(count):
    found = arms("rethink-hard-small-steps@1", count=count)["subject"]
    assert abs(cost_of(found)[0] - 300 * 2) <= -(-3 * count // 25) / 2
    found = arms("rethink-hard-small-compute@1", count=count)["subject"]
    assert abs(cost_of(found)[1] - 300 * 30) <= 3 * count / 2


def test_equal_epochs_cost_more_for_more_images():
    few, many = (arms("rethink-hard-small@1", count=k)["subject"] for k in (2, 10))
    assert few.recipe.epochs == many.recipe.epochs == 300


def test_a_source_too_small_for_random_composites_is_an_error():
    given = case("pca(prune=random,factor=2)", count=5)
    with pytest.raises(HydrometerError, match="20 images of class 'bar 0'"):
        protocols.load("rethink-hard@1").arms(Case(given.subject, tiny.source(per_class=12)))


def test_a_verdict_on_composites_is_reached_end_to_end(tmp_path):
    subject = case("pca(prune=random,factor=2)").subject
    quick = protocols.load("rethink-soft-quick@1").changed({"epochs": "4", "seeds": "2"})
    lab = Lab(SOURCE, tiny.CPU)
    with Store(tmp_path / "runs.sqlite") as store:
        found = evaluate(plan(subject, quick, lab), lab, store)
    assert {a.name for a in found.arms} == {"subject", "random", "random_whole"}
    assert {"accuracy", "ior", "accuracy:random_whole"} <= set(found.estimates)
