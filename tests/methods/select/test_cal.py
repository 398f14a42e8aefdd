import numpy as np
import torch
from scipy.special import softmax
from scipy.stats import entropy

from hydrometer.methods.select.cal import contrast

GENERATOR = torch.Generator().manual_seed(0)
FEATURES = torch.randn(12, 5, generator=GENERATOR)
LOGITS = torch.randn(12, 3, generator=GENERATOR) * 2


def test_contrast_is_the_divergence_of_neighbours_from_the_image():
    p = softmax(LOGITS.double().numpy(), axis=1)
    expected = []
    for i in range(12):
        others = sorted(
            (j for j in range(12) if j != i), key=lambda j: (FEATURES[i] - FEATURES[j]).norm()
        )
        expected.append(np.mean([entropy(p[j], p[i]) for j in others[:4]]))
    np.testing.assert_allclose(contrast(FEATURES, LOGITS, 4), expected, rtol=1e-6)


def test_an_only_image_contrasts_with_nothing():
    assert contrast(FEATURES[:1], LOGITS[:1], 4).tolist() == [0]
