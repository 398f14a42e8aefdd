"""The README's Python is run as it stands there, but for a quicker method and shorter students."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
SHORT = "{epochs=2,seeds=2,rates=0.1,full.epochs=1,full.least_steps=0,full.seeds=2}"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    changes = {"ddranking-hard-quick@1": f"ddranking-hard-quick@1{SHORT}", "herding": "random"}
    for known, quicker in changes.items():
        assert code.count(known) == 1
        code = code.replace(known, quicker)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDROMETER_CACHE", str(tmp_path / "cache"))
    exec(code, {})
    said = capsys.readouterr().out
    assert "keeps" in said and "1 random image per class reaches" in said
    assert "n=2" in said
    assert (tmp_path / "runs.sqlite").is_file()
