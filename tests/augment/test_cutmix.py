import numpy as np
import pytest
import torch
from scipy import stats
from torch.testing import assert_close

from hydrometer.augment.cutmix import CutMix
from hydrometer.augment.draws import symmetric_beta

OWN_ROW = torch.arange(6.0).view(1, 6, 1, 1, 1)


@pytest.mark.parametrize("per_batch", [False, True])
@pytest.mark.parametrize(("h", "w"), [(8, 8), (9, 9), (32, 32), (12, 20)])
@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_cutmix_agrees_with_the_released_formula(alpha, h, w, per_batch, draws):
    images, u = draws(1, 2, 6, 3, h, w), draws(2, 2, 6, 4)
    result = CutMix(alpha, per_batch)(images, u)
    for k in range(2):
        order = np.argsort(u[k, :, 3].numpy())
        for b in range(6):
            drawn = u[k, 0 if per_batch else b]
            side = np.sqrt(1 - symmetric_beta(drawn[:1], alpha).item())
            y, x = int(drawn[1].item() * h), int(drawn[2].item() * w)
            y1, y2 = np.clip([y - int(side * h) // 2, y + int(side * h) // 2], 0, h)
            x1, x2 = np.clip([x - int(side * w) // 2, x + int(side * w) // 2], 0, w)
            expected = images[k, b].clone()
            expected[:, y1:y2, x1:x2] = images[k, order[b], :, y1:y2, x1:x2]
            assert torch.equal(result.images[k, b], expected)
            assert result.partner[k, b] == order[b]
            assert result.share[k, b].item() == pytest.approx(1 - (y2 - y1) * (x2 - x1) / (h * w))


def test_cutmix_shares_count_pixels(draws):
    images = OWN_ROW.expand(3, 6, 1, 32, 32)
    result = CutMix()(images, draws(3, 3, 6, 4))
    own = (result.images == OWN_ROW).float().mean(dim=(2, 3, 4))
    others = result.partner != torch.arange(6)
    assert others.any()
    assert_close(own[others], result.share[others])
    expected = result.share * torch.arange(6) + (1 - result.share) * result.partner
    assert_close(result.images.mean(dim=(2, 3, 4)), expected)


def test_cutmix_boxes_cover_one_minus_beta_before_clipping(draws):
    boxes = CutMix().boxes(draws(4, 3000, 4), 512, 512)
    covered = (boxes.height * boxes.width / 512**2).numpy()
    assert stats.kstest(covered, "uniform").pvalue > 1e-3
    centre = ((boxes.top + boxes.height // 2) / 512).numpy()
    assert stats.kstest(centre, "uniform").pvalue > 1e-3


def test_one_share_per_batch_is_one_per_student_in_cutmix(draws):
    augmentation = CutMix(per_batch=True)
    result = augmentation(OWN_ROW.expand(3, 6, 1, 8, 8), draws(8, 3, 6, augmentation.draws))
    assert torch.equal(result.share, result.share[:, :1].expand(3, 6))
    assert len(result.share[:, 0].unique()) == 3
