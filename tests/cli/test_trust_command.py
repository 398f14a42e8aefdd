import json

from PIL import Image
from quick import pictures


def test_trust_writes_a_sheet_a_report_and_the_rows_to_keep(succeed, tmp_path):
    out, _ = succeed("trust", "-s", "digits+symmetric:0.3", "-t", "oracle", "--out", "found")
    found = tmp_path / "found"
    report = json.loads((found / "report.json").read_text())
    kept = json.loads((found / "cleaned.json").read_text())
    assert (report["precision"], report["coverage"], report["least_coverage"]) == (1, 1, 1)
    assert len(kept["index"]) == len(kept["label"]) == report["counts"]["given"]
    assert len(report["suspects"]) == report["images"] - len(kept["index"])
    assert all(s["given"] != s["suggested"] for s in report["suspects"])
    with Image.open(found / "suspects.png") as sheet:
        assert sheet.size[0] > 500
    assert "of the labels not believed" in out and (found / "report.txt").read_text() in out


def test_trust_speaks_json(succeed):
    out, _ = succeed("trust", "-s", "digits+symmetric:0.3", "-t", "oracle", "--json")
    assert json.loads(out)["estimator"] == "oracle"


def test_noise_that_cannot_be_told_is_said(succeed):
    out, _ = succeed("trust", "-s", "digits+asymmetric:0.7", "-t", "oracle")
    assert "no estimator can tell" in out and "cannot be told from the data" in out


def test_a_single_class_is_refused(refused, tmp_path):
    for part in ("train", "test"):
        pictures(tmp_path / "one" / part, [8])
    assert "at least 2 are needed" in refused("trust", "-s", f"folder:{tmp_path / 'one'}")


def test_an_unknown_estimator_is_refused(refused):
    assert "did you mean 'oracle'" in refused("trust", "-s", "digits", "-t", "oracel")


def test_compress_takes_a_trust(succeed):
    words = ("compress", "-s", "digits+symmetric:0.3", "-m", "random", "--ipc", "2")
    succeed(*words, "--trust", "oracle", "--manifest", "rows.json")
    shown, _ = succeed("show", "set.safetensors")
    assert "trust oracle" in shown and "digits+symmetric:0.3" in shown
    assert "100.0 % of the labels are right" in shown
