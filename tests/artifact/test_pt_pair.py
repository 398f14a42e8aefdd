import io
import os
import pickle

import pytest
import torch

from hydrometer.artifact.container import save
from hydrometer.artifact.foreign import export_set, import_set
from hydrometer.types import HydrometerError


class Evil:
    """Pickles to a call of `os.mkdir`, which a careless reader would run."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture
def pair(tmp_path, floats, labels):
    """A folder with a good pair, to be spoilt."""
    folder = tmp_path / "pair"
    folder.mkdir()
    torch.save(floats, folder / "images.pt")
    torch.save(labels, folder / "labels.pt")
    return folder


def refused(pair, source, match, **given):
    """The import and its save fail with this message and leave no file."""
    out = pair.parent / "out.safetensors"
    with pytest.raises(HydrometerError, match=match):
        save(import_set(pair, source=source, **{"space": "pixel", **given}), out)
    assert [p.name for p in pair.parent.iterdir()] == [pair.name]


def test_hard_labels(pair, source, floats, labels):
    made = import_set(pair, source=source, space="pixel")
    assert torch.equal(made.images, floats) and torch.equal(made.labels, labels)
    assert made.soft is None and made.card.student_lr is None
    assert made.card.method == "import(format=pt-pair,space=pixel)"
    # 2, 2 and 1 images per class, out of 9 in train.
    assert made.card.budget == f"fraction={5 / 9}"


def test_a_balanced_set_states_images_per_class(pair, source, floats):
    torch.save(floats[:3], pair / "images.pt")
    torch.save(torch.tensor([2, 0, 1]), pair / "labels.pt")
    assert import_set(pair, source=source, space="pixel").card.budget == "ipc=1"


def test_logits_are_kept_and_their_argmax_is_hard(pair, source):
    logits = torch.tensor([[0.1, 3, -2], [5, 1, 1], [0, 0, 1], [-1, -2, -3], [9, 10, 8]])
    torch.save(logits, pair / "labels.pt")
    made = import_set(pair, source=source, space="pixel")
    assert torch.equal(made.soft, logits)
    assert made.labels.tolist() == [1, 0, 2, 0, 1]


def test_probabilities_become_logits_with_the_same_softmax(pair, source):
    shares = torch.tensor([[0.2, 0.8, 0], [1, 0, 0], [0, 0.4, 0.6], [0.5, 0.3, 0.2], [0, 1, 0]])
    torch.save(shares, pair / "labels.pt")
    made = import_set(pair, source=source, space="pixel")
    torch.testing.assert_close(made.soft.softmax(dim=1), shares)
    assert made.labels.tolist() == [1, 0, 2, 0, 1]
    assert torch.isfinite(made.soft).all()
    assert "probabilities stored as their logarithms" in made.card.notes


@pytest.mark.parametrize(
    "rows",
    [
        [[0.97, 0.0, 0.0], [0.2, 0.8, 0.0]],
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[0.9, 0.9, 0.9], [0.1, 0.2, 0.7]],
    ],
)
def test_what_is_neither_probabilities_nor_logits_is_refused(pair, source, rows):
    shares = torch.tensor(rows)[[0, 1, 1, 1, 1]]
    torch.save(shares, pair / "labels.pt")
    with pytest.raises(HydrometerError, match=r"row 0 sums to .*divide each row by its sum"):
        import_set(pair, source=source, space="pixel")
    torch.save(shares - 1, pair / "labels.pt")
    assert torch.equal(import_set(pair, source=source, space="pixel").soft, shares - 1)


@pytest.mark.parametrize("kept", [torch.float16, torch.bfloat16])
def test_probabilities_of_few_digits_are_probabilities(pair, source, kept):
    shares = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    torch.save(shares.to(kept), pair / "labels.pt")
    made = import_set(pair, source=source, space="pixel")
    torch.testing.assert_close(made.soft.softmax(dim=1), shares, atol=4e-3, rtol=0)


def test_learned_rate_is_carried_and_can_be_overruled(pair, source):
    torch.save(torch.tensor(0.0184), pair / "lr.pt")
    assert import_set(pair, source=source, space="pixel").card.student_lr == pytest.approx(0.0184)
    made = import_set(pair, source=source, space="pixel", student_lr=0.5)
    assert made.card.student_lr == 0.5


def test_best_names_and_the_images_alone(pair, source, labels):
    (pair / "images.pt").rename(pair / "images_best.pt")
    (pair / "labels.pt").rename(pair / "labels_best.pt")
    for path in (pair, pair / "images_best.pt"):
        assert torch.equal(import_set(path, source=source, space="pixel").labels, labels)


def test_labels_can_be_elsewhere(pair, source, labels):
    (pair / "labels.pt").rename(pair / "targets.pt")
    made = import_set(pair, source=source, space="pixel", labels_path=pair / "targets.pt")
    assert torch.equal(made.labels, labels)
    refused(pair, source, r"no file .*labels\.pt")


def test_normalised_images_return_to_pixels(pair, source, floats, affine):
    torch.save(affine.whiten(floats), pair / "images.pt")
    made = import_set(pair, source=source, space="normalised", whitening=affine)
    torch.testing.assert_close(made.images, floats)
    refused(pair, source, r"outside the stated space pixel")


def test_code_is_refused_and_not_run(pair, source, tmp_path):
    trap = tmp_path / "ran"
    for spoilt in ("images.pt", "labels.pt"):
        good = (pair / spoilt).read_bytes()
        torch.save({"images": Evil(trap)}, pair / spoilt)
        refused(pair, source, r"contains code; refused \(posix\.mkdir\)")
        (pair / spoilt).write_bytes(good)
    (pair / "images.pt").write_bytes(pickle.dumps(Evil(trap), protocol=2))
    refused(pair, source, r"contains code; refused")
    assert not trap.exists()


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_code_is_refused(pair, source):
    class Twice(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    stream = io.BytesIO()
    torch.jit.save(torch.jit.trace(Twice(), torch.zeros(1)), stream)
    (pair / "images.pt").write_bytes(stream.getvalue())
    refused(pair, source, r"contains code; refused \(TorchScript\)")


@pytest.mark.parametrize("keep", [0, 1, 30, 500, -100])
def test_truncated_files_are_refused(pair, source, keep):
    whole = (pair / "images.pt").read_bytes()
    (pair / "images.pt").write_bytes(whole[:keep])
    refused(pair, source, r"images\.pt is damaged or no \.pt file")


def test_missing_files_are_refused(pair, source):
    refused(pair, source, r"no file .*none\.pt", labels_path=pair / "none.pt")
    (pair / "images.pt").unlink()
    refused(pair, source, r"looks like no known format; state the format, one of: .*pt-pair")
    refused(pair, source, r"must hold one of images\.pt or images_best\.pt", format="pt-pair")


@pytest.mark.parametrize(
    ("file", "value", "match"),
    [
        ("images", torch.zeros(5, 3, 6, 8), r"shape \(5, 3, 6, 8\), but source 'tiny' needs"),
        ("images", torch.zeros(5, 8, 6), r"shape \(5, 8, 6\)"),
        ("images", torch.full((5, 3, 8, 6), float("nan")), r"720 values that are NaN"),
        ("images", torch.zeros(5, 3, 8, 6, dtype=torch.int64), r"images of torch\.int64"),
        ("images", torch.zeros(4, 3, 8, 6), r"there are 4 images but 5 labels"),
        ("images", torch.zeros(0, 3, 8, 6), r"holds no images"),
        ("images", [torch.zeros(3)], r"holds a list where a tensor is needed"),
        ("images", torch.zeros(3).to_sparse(), r"sparse"),
        ("images", torch.zeros(1).expand(5, 3, 8, 6), r"claims more values than it stores"),
        ("labels", torch.tensor([0, 1, 2, 3, 0]), r"1 labels name no class, such as 3"),
        ("labels", torch.tensor([0, 1, -7, 2, 0]), r"1 labels name no class, such as -7"),
        ("labels", -torch.ones(5, 10), r"soft labels have 10 columns, but there are 3 classes"),
        ("labels", torch.full((5, 3), float("nan")), r"soft hold 15 values that are NaN"),
        ("labels", torch.zeros(5), r"labels of shape \(5,\) and torch\.float32"),
        ("labels", torch.zeros(5, 1, dtype=torch.int64), r"labels of shape \(5, 1\)"),
        ("lr", torch.zeros(2), r"give one finite rate"),
    ],
)
def test_each_spoilt_file_has_its_sentence(pair, source, file, value, match):
    torch.save(value, pair / f"{file}.pt")
    refused(pair, source, match)


def test_export_returns_through_import(compressed, source, tmp_path):
    notes = export_set(compressed, tmp_path / "pair", "pt-pair")
    back = import_set(tmp_path / "pair", source=source, space="pixel")
    torch.testing.assert_close(back.images * 255, compressed.images.float())
    assert torch.equal(back.soft, compressed.soft) and back.card.student_lr == 0.02
    assert "weights are not kept by pt-pair" in notes
    assert "hard labels are not kept where soft labels prefer another class" in notes


def test_export_does_not_overwrite_a_full_folder(compressed, pair):
    before = (pair / "images.pt").read_bytes()
    with pytest.raises(HydrometerError, match=f"cannot write {pair}"):
        export_set(compressed, pair, "pt-pair")
    assert (pair / "images.pt").read_bytes() == before
    assert [p.name for p in pair.parent.iterdir()] == ["pair"]
