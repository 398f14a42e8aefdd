import numpy as np
import torch
from scipy import stats
from scipy.special import softmax

from hydrometer.methods.select.entropy import shannon


def test_entropy_is_that_of_scipy():
    logits = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)) * 3
    expected = stats.entropy(softmax(logits.double().numpy(), axis=1), axis=1)
    np.testing.assert_allclose(shannon(logits), expected, rtol=1e-9)


def test_certainty_has_no_entropy():
    assert shannon(torch.tensor([[5000.0, 0.0, 0.0]])).tolist() == [0]
