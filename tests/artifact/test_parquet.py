import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from hydrometer.artifact import parquet
from hydrometer.artifact.foreign import export_set, import_set
from hydrometer.types import HydrometerError


@pytest.fixture
def file(compressed, tmp_path):
    path = tmp_path / "set.parquet"
    assert export_set(compressed, path, "parquet") == ("not kept by parquet: index, student_lr",)
    return path


def test_round_trip_in_several_row_groups(compressed, source, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ROWS", 2)
    export_set(compressed, tmp_path / "set.parquet", "parquet")
    assert pq.ParquetFile(tmp_path / "set.parquet").num_row_groups == 3
    back = import_set(tmp_path / "set.parquet", source=source, space="pixel")
    for name in ("images", "labels", "soft", "weights"):
        assert torch.equal(getattr(back, name), getattr(compressed, name))


def test_the_layout_is_the_one_datasets_reads(file, compressed):
    table = pq.read_table(file)
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": ["plane", "car", "bird"], "_type": "ClassLabel"}
    cell = table.column("image")[3].as_py()
    decoded = np.asarray(Image.open(io.BytesIO(cell["bytes"])))
    assert np.array_equal(decoded, compressed.images[3].permute(1, 2, 0).numpy())
    assert cell["path"] == "000003.png"


def test_labels_follow_class_names(file, make_source, compressed):
    turned = make_source(classes=("bird", "plane", "car"))
    back = import_set(file, source=turned, space="pixel")
    assert back.labels.tolist() == [0, 1, 2, 1, 0]
    assert torch.equal(back.soft, compressed.soft[:, [2, 0, 1]])
    with pytest.raises(HydrometerError, match="classes car cannot be matched"):
        import_set(file, source=make_source(classes=("plane", "cat", "bird")), space="pixel")


def test_labels_without_names_are_positions(file, source, compressed):
    pq.write_table(pq.read_table(file).replace_schema_metadata(None), file)
    back = import_set(file, source=source, space="pixel")
    assert torch.equal(back.labels, compressed.labels)
    assert "labels read as positions in the source's class order" in back.card.notes


def test_spoilt_tables_are_refused(file, source):
    whole, table = file.read_bytes(), pq.read_table(file)
    spoilt = {
        "needed": table.drop_columns(["label"]),
        "beyond its 3 class names": table.set_column(1, "label", [[0, 1, 2, 3, 0]]),
        "column 'label' .* is double": table.set_column(1, "label", [[0.5, 1, 2, 0, 0]]),
        "or has gaps": table.set_column(1, "label", pa.chunked_array([[0, None, 2, 0, 0]])),
        "row 0 .* has no image bytes": table.set_column(0, "image", [["a.png"] * 5]),
        "row 0 .* is no readable image": table.set_column(0, "image", [[b"x"] * 5]),
    }
    for match, content in spoilt.items():
        pq.write_table(content, file)
        with pytest.raises(HydrometerError, match=match):
            import_set(file, source=source, space="pixel")
    file.write_bytes(whole[:-50])
    with pytest.raises(HydrometerError, match="damaged or no parquet file"):
        import_set(file, source=source, space="pixel")
