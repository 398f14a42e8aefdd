"""The evaluation IDM's authors use for their own sets on CIFAR.

Zhao, Li, Qin and Yu, "Improved Distribution Matching for Dataset Condensation" (CVPR 2023, arXiv
2307.09742), with the numbers of the released code and its commands: every image is cut into 2 x 2
tiles, each enlarged bilinearly to a full image, and a ConvNet trains on all of them; SGD 0.01 with
momentum 0.9 and weight decay 5e-4, a tenth of the rate after half of 1000 epochs, batch 256, DSA, five
networks a set.

`subject` trains on the enlarged tiles, `subject_whole` on the images as they are, `random` on as many
random real images as there are in the set, whole. Arms differ in what an image shows, so no score
compares them.

Deviations: momentum survives the drop of the rate (theirs starts a new optimiser), 1000 epochs run
(theirs runs one more), and only the last step is tested, on the set that is given (theirs keeps the
iterate with the best test accuracy). Published means are over five sets of five networks. Not known:
the network of the paper's tables. The code's default is a ConvNet with ghost batch norm; its commands
name the plain one, with instance norm, which is taken here. Nothing is said of ImageNet subsets.
"""

from __future__ import annotations

import dataclasses

from hydrometer.artifact.composites import expand
from hydrometer.artifact.container import identity
from hydrometer.engine.data import pixels
from hydrometer.protocols import Case, Settings, as_dsa, beside_random, recipe, release
from hydrometer.types import Arm, CompressedSet

_FACTOR = 2


def arms(case: Case, settings: Settings) -> list[Arm]:
    """Enlarged tiles, images as they are, and random images under the same settings."""
    as_it_is, random = beside_random(case, settings, recipe(settings, case.source))
    return [
        dataclasses.replace(as_it_is, sets=(enlarged(case.subject),)),
        dataclasses.replace(as_it_is, name="subject_whole"),
        random,
    ]


def enlarged(subject: CompressedSet) -> CompressedSet:
    """The set of all enlarged tiles (4 n, c, h, w), float32, under the hard labels of their images."""
    weights, tiles = subject.weights, _FACTOR**2
    found = dataclasses.replace(
        subject,
        images=expand(pixels(subject.images), _FACTOR),
        labels=subject.labels.repeat_interleave(tiles),
        soft=None,
        weights=None if weights is None else weights.repeat_interleave(tiles),
        index=None,
    )
    return dataclasses.replace(found, digest=identity(found))


release(
    "as-idm@1",
    about="IDM's own evaluation: enlarged tiles, 1000 epochs of SGD 0.01, DSA, hard labels",
    settings=as_dsa.SETTINGS,
    metrics=("accuracy",),
    build=arms,
)
