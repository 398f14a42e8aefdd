import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from hydrometer.augment.mixup import MixUp

OWN_ROW = torch.arange(6.0).view(1, 6, 1, 1, 1)


@pytest.mark.parametrize("per_batch", [False, True])
def test_mixup_agrees_with_a_loop(per_batch, draws):
    images, u = draws(5, 2, 6, 3, 8, 8), draws(6, 2, 6, 2)
    result = MixUp(0.8, per_batch)(images, u)
    for k in range(2):
        order = np.argsort(u[k, :, 1].numpy())
        for b in range(6):
            share = stats.beta(0.8, 0.8).ppf(u[k, 0 if per_batch else b, 0].item())
            expected = share * images[k, b] + (1 - share) * images[k, order[b]]
            assert_close(result.images[k, b], expected, rtol=0, atol=1e-4)
            assert result.share[k, b].item() == pytest.approx(share, abs=1e-4)
            assert result.partner[k, b] == order[b]


def test_mixup_shares_weigh_pixels_and_follow_the_beta_law(draws):
    result = MixUp()(OWN_ROW.expand(400, 6, 1, 2, 2), draws(7, 400, 6, 2))
    expected = result.share * torch.arange(6) + (1 - result.share) * result.partner
    assert_close(result.images[..., 0, 0, 0], expected)
    assert stats.kstest(result.share.flatten().numpy(), stats.beta(0.8, 0.8).cdf).pvalue > 1e-3


def test_one_share_per_batch_is_one_per_student_in_mixup(draws):
    augmentation = MixUp(per_batch=True)
    result = augmentation(OWN_ROW.expand(3, 6, 1, 8, 8), draws(8, 3, 6, augmentation.draws))
    assert torch.equal(result.share, result.share[:, :1].expand(3, 6))
    assert len(result.share[:, 0].unique()) == 3
