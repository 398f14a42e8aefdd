import torch

import tiny
from hydrometer import digest
from hydrometer.types import Spec, Trial


def test_recipes_read_back():
    recipe = tiny.recipe(augment=(Spec("dsa"), Spec("cutmix")), whiten=Spec("zca", (("eps", 0.1),)))
    assert digest.recipe_from(digest.canonical(recipe)) == recipe


def test_a_trial_is_its_set_recipe_source_and_seed():
    base = Trial("a", "b", tiny.recipe(), 0)
    others = [
        Trial("x", "b", tiny.recipe(), 0),
        Trial("a", "x", tiny.recipe(), 0),
        Trial("a", "b", tiny.recipe(lr=0.1), 0),
        Trial("a", "b", tiny.recipe(precision="bfloat16"), 0),
        Trial("a", "b", tiny.recipe(), 1),
    ]
    assert len({digest.of_trial(t) for t in [base, *others]}) == 6
    assert digest.of_trial(base) == digest.of_trial(Trial("a", "b", tiny.recipe(), 0))


def test_tensors_count_values_types_shapes_and_places():
    a = torch.arange(6)
    different = [
        (a,),
        (a.view(2, 3),),
        (a.float(),),
        (a, None),
        (None, a),
        (a + 1,),
        (a[:5],),
        (a.view(2, 3).T,),
    ]
    assert len({digest.of_tensors(*tensors) for tensors in different}) == len(different)
    assert digest.of_tensors(a.view(2, 3).T) == digest.of_tensors(a.view(2, 3).T.contiguous())


def test_key_order_does_not_count():
    assert digest.of({"a": 1, "b": 2}) == digest.of({"b": 2, "a": 1})
