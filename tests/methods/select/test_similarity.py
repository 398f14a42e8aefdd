import torch

from hydrometer.methods.select.similarity import cosine


def test_similarity_is_the_shifted_cosine():
    points = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    rows = cosine(points)(torch.tensor([0, 3]))
    assert rows.tolist() == [[1, 0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]
