import torch
from scipy.special import softmax
from scipy.stats import entropy

from hydrometer.methods.select.contextual_diversity import symmetric_divergence

LOGITS = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).double() * 3


def test_divergence_is_the_mean_of_both_relative_entropies():
    log_p = LOGITS.log_softmax(1)
    p = softmax(LOGITS.numpy(), axis=1)
    expected = [(entropy(row, p[2]) + entropy(p[2], row)) / 2 for row in p]
    torch.testing.assert_close(
        symmetric_divergence(log_p, log_p[2]), torch.tensor(expected, dtype=torch.float64)
    )


def test_equal_and_certain_predictions_are_no_special_case():
    log_p = torch.tensor([[2000.0, 0.0], [2000.0, 0.0], [0.0, 2000.0]]).double().log_softmax(1)
    found = symmetric_divergence(log_p, log_p[0])
    assert found[:2].tolist() == [0, 0]
    assert found[2] == 2000
