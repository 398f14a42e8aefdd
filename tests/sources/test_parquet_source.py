import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hydrometer.sources import load, tables
from hydrometer.types import HydrometerError

pytestmark = pytest.mark.usefixtures("cache")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 5, 6, 3), dtype=np.uint8)


def png(pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write(path, rows, column="img", label="label", struct=True, names=None, labels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = [png(PIXELS[row]) for row in rows]
    images = [{"bytes": d, "path": None} for d in data] if struct else data
    table = pa.table({column: images, label: labels or [row % 2 for row in rows]})
    if names:
        feature = {"names": names, "_type": "ClassLabel"}
        text = json.dumps({"info": {"features": {label: feature}}})
        table = table.replace_schema_metadata({"huggingface": text})
    pq.write_table(table, path, row_group_size=7)


@pytest.mark.parametrize("struct", [True, False])
@pytest.mark.parametrize("column", ["img", "image"])
def test_pixels_and_labels(tmp_path, struct, column):
    write(tmp_path / "train.parquet", range(30), column, struct=struct)
    write(tmp_path / "test.parquet", range(30, 40), column, struct=struct)
    source = load(f"parquet:{tmp_path}")
    for split, start in ((source.train, 0), (source.val, 0), (source.test, 30)):
        expected = PIXELS[split.index + start]
        np.testing.assert_array_equal(split.images.permute(0, 2, 3, 1), expected)
        assert split.labels.tolist() == ((split.index + start) % 2).tolist()
    assert source.classes == ("0", "1")


def test_shards_validation_and_names_of_a_hub_layout(tmp_path):
    write(tmp_path / "data" / "train-00001-of-00002.parquet", range(12, 24))
    write(tmp_path / "data" / "train-00000-of-00002.parquet", range(12), names=["cat", "dog"])
    write(tmp_path / "data" / "validation-00000-of-00001.parquet", range(30, 40))
    source = load(f"parquet:{tmp_path}")
    assert source.classes == ("cat", "dog")
    np.testing.assert_array_equal(
        source.train.images.permute(0, 2, 3, 1), PIXELS[source.train.index]
    )
    assert len(source.test) == 10


def test_the_second_load_reads_no_table(tmp_path, monkeypatch):
    write(tmp_path / "train.parquet", range(30))
    write(tmp_path / "test.parquet", range(30, 40))
    first = load(f"parquet:{tmp_path}")
    monkeypatch.setattr(tables, "read", None)
    assert load(f"parquet:{tmp_path}").digest == first.digest


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"column": "picture"}, "no column img or image; it has picture, label"),
        ({"label": "class"}, "no column label; it has img, class"),
        ({"labels": ["a"] * 30}, "must hold a whole number"),
        ({"labels": [None] + [0, 1] * 14 + [1]}, "1 empty"),
        ({"labels": [0, 2] * 15}, "no train image of class '1'"),
    ],
)
def test_bad_columns_are_named(tmp_path, options, message):
    write(tmp_path / "train.parquet", range(30), **options)
    write(tmp_path / "test.parquet", range(30, 40))
    with pytest.raises(HydrometerError, match=message):
        load(f"parquet:{tmp_path}")


def test_bad_files_are_named(tmp_path):
    with pytest.raises(HydrometerError, match=r"needs train\*\.parquet"):
        load(f"parquet:{tmp_path}")
    write(tmp_path / "train.parquet", range(30))
    (tmp_path / "test.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(HydrometerError, match=r"test\.parquet cannot be read as parquet"):
        load(f"parquet:{tmp_path}")


def test_a_bad_row_is_named(tmp_path):
    broken = pa.table({"img": [png(PIXELS[0]), b"?"] * 5, "label": [0, 1] * 5})
    pq.write_table(broken, tmp_path / "train.parquet")
    write(tmp_path / "test.parquet", range(30, 40))
    with pytest.raises(HydrometerError, match=r"train\.parquet row 1 cannot be decoded"):
        load(f"parquet:{tmp_path}")
