"""Asymmetric label noise: a class turns into one other."""

from __future__ import annotations

import numpy as np

from hydrometer.registry import register
from hydrometer.sources.noise import Labels, Part, flipped, in_range
from hydrometer.types import HydrometerError

CIFAR10 = {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"}
DIGITS = {"2": "7", "3": "8", "7": "1", "5": "6", "6": "5"}
PAIRS = ((0, 2), (4, 7), (1, 9), (3, 5), (6, 8))
SUPERCLASSES = tuple(
    tuple(line.split())
    for line in """
beaver dolphin otter seal whale
aquarium_fish flatfish ray shark trout
orchid poppy rose sunflower tulip
bottle bowl can cup plate
apple mushroom orange pear sweet_pepper
clock keyboard lamp telephone television
bed chair couch table wardrobe
bee beetle butterfly caterpillar cockroach
bear leopard lion tiger wolf
bridge castle house road skyscraper
cloud forest mountain plain sea
camel cattle chimpanzee elephant kangaroo
fox porcupine possum raccoon skunk
crab lobster snail spider worm
baby boy girl man woman
crocodile dinosaur lizard snake turtle
hamster mouse rabbit shrew squirrel
maple_tree oak_tree palm_tree pine_tree willow_tree
bicycle bus motorcycle pickup_truck train
lawn_mower rocket streetcar tank tractor
""".strip().splitlines()
)
CIFAR100 = {
    name: group[(i + 1) % len(group)] for group in SUPERCLASSES for i, name in enumerate(group)
}


@register("noise")
def asymmetric(
    part: Part, rate: float, *, map: str = "semantic", rng: np.random.Generator
) -> Labels:
    """Each label of a mapped class changes with probability `rate`: `asymmetric:0.4,map=cyclic`.

    `semantic` goes by class name. CIFAR-10: truck to automobile, bird to airplane, cat to dog and
    back, deer to horse, the other five untouched (Patrini et al., CVPR 2017; rate / 2 of all labels).
    Digits: 2 to 7, 3 to 8, 7 to 1, 5 to 6 and back (the same, for MNIST). CIFAR-100: the next class
    of the superclass; all 100 classes flip, where the list in DD_LNL forgets the mouse. `pairs`: the
    five swapped pairs 0-2, 4-7, 1-9, 3-5, 6-8 of ten classes (Prune4ReL). `cyclic`: class c to c + 1.
    """
    in_range("asymmetric", rate)
    k = len(part.classes)
    transition = np.eye(k)
    for origin, target in targets(part.classes, map).items():
        transition[origin, origin] -= rate
        transition[origin, target] += rate
    return flipped(part.labels, transition, rng)


def targets(classes: tuple[str, ...], map: str) -> dict[int, int]:
    """The class each class turns into, for those that turn, by position.

    Raises:
        HydrometerError: No such map, or it is not defined for these classes.
    """
    if map == "cyclic":
        return {c: (c + 1) % len(classes) for c in range(len(classes))}
    if map == "pairs":
        if len(classes) != 10:
            raise HydrometerError(
                f"map=pairs is defined for 10 classes, not {len(classes)}; use map=cyclic"
            )
        return {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
    if map != "semantic":
        raise HydrometerError(f"map {map!r} is unknown; known: cyclic, pairs, semantic")
    named = next((m for m in (CIFAR10, DIGITS, CIFAR100) if {*m, *m.values()} <= {*classes}), None)
    if named is None:
        raise HydrometerError(
            "map=semantic is defined for the classes of cifar10, cifar100 and digits; "
            "use map=cyclic"
        )
    return {classes.index(a): classes.index(b) for a, b in named.items()}
