"""CIFAR-100."""

from __future__ import annotations

from hydrometer.registry import register
from hydrometer.sources import published
from hydrometer.sources.place import Place
from hydrometer.types import Source

CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

CIFAR100 = published.Published(
    name="cifar100",
    torchvision="CIFAR100",
    unpacked="cifar-100-python",
    shape=(3, 32, 32),
    classes=tuple(CLASSES.split()),
    label_columns=("fine_label", "label"),
    mean=(0.5071, 0.4866, 0.4409),
    std=(0.2673, 0.2564, 0.2762),
)


@register("source")
def cifar100(place: Place) -> Source:
    """50 000 + 10 000 photographs in 100 fine classes, 3×32×32.

    Mean and deviation are the field's constants. Krizhevsky, "Learning multiple layers of
    features from tiny images" (2009).
    """
    return published.load(place, CIFAR100)
