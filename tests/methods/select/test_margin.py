import pytest
import torch

from hydrometer.methods.select.margin import lead
from hydrometer.types import HydrometerError


def test_lead_is_the_first_probability_less_the_second():
    logits = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.5, 1e-30], [0.2, 0.3, 0.5]]).log()
    torch.testing.assert_close(lead(logits), torch.tensor([0.5, 0.0, 0.2], dtype=torch.float64))


def test_one_class_has_no_margin():
    with pytest.raises(HydrometerError, match="two classes"):
        lead(torch.ones(3, 1))
