"""Fashion-MNIST."""

from __future__ import annotations

from hydrometer.registry import register
from hydrometer.sources import published
from hydrometer.sources.place import Place
from hydrometer.types import Source

FASHION_MNIST = published.Published(
    name="fashion-mnist",
    torchvision="FashionMNIST",
    unpacked="FashionMNIST/raw",
    shape=(1, 28, 28),
    classes=(
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
)  # fmt: skip


@register("source")
def fashion_mnist(place: Place) -> Source:
    """60 000 + 10 000 articles of clothing in 10 classes, grey, 1×28×28.

    Xiao, Rasul and Vollgraf, "Fashion-MNIST" (arXiv 1708.07747).
    """
    return published.load(place, FASHION_MNIST)
