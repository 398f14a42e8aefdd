"""The digits that come with scikit-learn."""

from __future__ import annotations

import torch

from hydrometer.registry import register
from hydrometer.sources.parts import Part, Parts, in_memory
from hydrometer.sources.place import Place
from hydrometer.sources.split import held_out
from hydrometer.types import Source

TEST_PERCENT = 28
_WHITE = 16


@register("source")
def digits(place: Place) -> Source:
    """1 797 handwritten digits, grey, 1×8×8, for which no file is needed.

    There is no official test part: `test` is 28 % of every class by the rule that cuts `val`, under
    the key 'test@1'. Grey levels 0 to 16 become 0 to 255. Alpaydin and Kaynak, "Optical recognition
    of handwritten digits" (UCI, 1998).
    """
    from sklearn.datasets import load_digits

    place.no_path("digits")
    bunch = load_digits()
    levels = torch.from_numpy(bunch.images)[:, None]
    images = (levels * (255 / _WHITE)).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    test = held_out(labels, TEST_PERCENT, "test@1")
    parts = Parts(
        Part(labels[~test], [images[~test]]),
        Part(labels[test], [images[test]]),
        tuple(map(str, bunch.target_names)),
        (1, 8, 8),
    )
    return in_memory("digits", parts)
