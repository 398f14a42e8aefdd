import numpy as np
import torch
from scipy.special import softmax

from hydrometer.methods.select.least_confidence import doubt

LOGITS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)) * 3


def test_doubt_is_what_the_largest_probability_leaves():
    expected = 1 - softmax(LOGITS.double().numpy(), axis=1).max(1)
    np.testing.assert_allclose(doubt(LOGITS), expected, atol=1e-12)


def test_a_larger_logit_alone_is_no_confidence():
    flat, sharp = doubt(torch.tensor([[9.0, 9.0], [1.0, 0.0]]))
    assert flat > sharp


def test_near_certainty_keeps_its_order():
    surer, sure = doubt(torch.tensor([[30.0, 0.0], [29.0, 0.0]]))
    assert 0 < surer < sure
