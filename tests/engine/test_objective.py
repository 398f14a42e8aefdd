import pytest
import torch
from torch.nn.functional import cross_entropy

from hydrometer.engine.objective import Target, objective, parts
from hydrometer.registry import build, parse

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.5]])
LABELS = torch.tensor([0, 2])
PARTNER = torch.tensor([2, 0])


def loss(spec="cross-entropy"):
    return build("loss", parse(spec))


def test_plain_mean():
    assert objective(loss(), LOGITS, Target(LABELS)) == pytest.approx(
        float(cross_entropy(LOGITS, LABELS))
    )


def test_mixed_labels_equal_mixed_one_hot_targets():
    share = torch.tensor([0.7, 0.4])
    one_hot = torch.nn.functional.one_hot
    mixed = share[:, None] * one_hot(LABELS, 3) + (1 - share)[:, None] * one_hot(PARTNER, 3)
    target = Target(LABELS, partner_labels=PARTNER, share=share)
    assert objective(loss(), LOGITS, target) == pytest.approx(float(cross_entropy(LOGITS, mixed)))


def test_weights_are_normalised():
    each = cross_entropy(LOGITS, LABELS, reduction="none")
    target = Target(LABELS, weight=torch.tensor([3.0, 1.0]))
    assert objective(loss(), LOGITS, target) == pytest.approx(float((3 * each[0] + each[1]) / 4))


def test_a_teachers_logits_are_not_mixed_but_the_labels_beside_them_are():
    soft, share = (
        torch.randn(2, 3, generator=torch.Generator().manual_seed(0)),
        torch.tensor([0.6, 0.1]),
    )
    target = Target(LABELS, soft, PARTNER, soft, share)
    both = [
        ((LOGITS - soft).square().mean(1) + 0.1 * cross_entropy(LOGITS, y, reduction="none"))
        for y in (LABELS, PARTNER)
    ]
    expected = (share * both[0] + (1 - share) * both[1]).mean()
    assert objective(loss("mse-gt(gamma=0.1)"), LOGITS, target) == pytest.approx(float(expected))


@pytest.mark.parametrize("size", [1, 3, 5, 7, 100])
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_add_up_to_the_whole(size, weighted):
    noise = torch.Generator().manual_seed(1)
    logits = torch.randn(7, 3, generator=noise)
    labels, partner = torch.randint(0, 3, (2, 7), generator=noise)
    share, weight = torch.rand(2, 7, generator=noise)
    target = Target(
        labels, partner_labels=partner, share=share, weight=weight if weighted else None
    )
    found = list(parts(target, -(-7 // size)))
    assert max(rows.stop - rows.start for rows, _, _ in found) <= size
    summed = sum(share * objective(loss(), logits[rows], part) for rows, part, share in found)
    assert float(summed) == pytest.approx(float(objective(loss(), logits, target)), rel=1e-6)


def test_more_parts_than_images_are_empty_and_share_nothing():
    found = list(parts(Target(torch.arange(2)), 3))
    assert [rows.stop - rows.start for rows, _, _ in found] == [0, 1, 1]
    assert [share for _, _, share in found] == [0, 0.5, 0.5]
