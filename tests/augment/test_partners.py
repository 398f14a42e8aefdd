import torch

from hydrometer.augment.partners import rows_of


def test_rows_are_looked_up_within_each_batch():
    labels = torch.tensor([[10, 11, 12], [20, 21, 22]])
    found = rows_of(labels, torch.tensor([[2, 0, 1], [0, 2, 1]]))
    assert found.tolist() == [[12, 10, 11], [20, 22, 21]]
