"""Writing a label bank, looking at it, and evaluating a set from it."""

import json

import pytest

PROTOCOL = (
    "rd3-quick@1{epochs=2,seeds=2,student=convnet(depth=1,norm=batch,width=8),"
    "teacher.epochs=6,teacher.least_steps=0}"
)
DIGITS = ("-s", "digits", "-p")


@pytest.fixture
def bank(succeed, made, tmp_path):
    succeed("relabel", made, *DIGITS, PROTOCOL, "-o", "bank", "--top", 3)
    return tmp_path / "bank"


def test_a_bank_is_written_shown_and_used(succeed, bank, made):
    out, _ = succeed("show", bank)
    assert "top 3 of 10 logits, fp16, 2 epochs" in out
    assert "= logits 120 B + class numbers 60 B + headers" in out
    assert "views 0 B, drawn again from the seed" in out
    told = json.loads(succeed("show", bank, "--json")[0])
    assert told["card"]["protocol"] == PROTOCOL
    judged = json.loads(
        succeed("evaluate", made, *DIGITS, PROTOCOL, "--bank", bank, "--json", "-q")[0]
    )
    weight = sum(shard["bytes"] for shard in told["shards"])
    assert judged["bank_bytes"] == weight
    assert "bank=" in judged["protocol"]
    assert any(f"{weight} bytes" in notice for notice in judged["notices"])


def test_what_does_not_belong_to_a_bank_is_refused(refused, succeed, bank, made):
    bigger = PROTOCOL.replace("seeds=2", "batch=5,seeds=2")
    assert "batch=50" in refused("evaluate", made, *DIGITS, bigger, "--bank", bank)
    succeed(
        "compress", "-s", "digits", "-m", "random", "--ipc", 2, "--seed", 1, "-o", "b.safetensors"
    )
    assert "belongs to set" in refused(
        "evaluate", "b.safetensors", *DIGITS, PROTOCOL, "--bank", bank
    )
    assert "not a label bank" in refused("evaluate", made, *DIGITS, PROTOCOL, "--bank", "nowhere")
    assert "another bank" in refused("relabel", made, *DIGITS, PROTOCOL, "-o", "bank")
    hard = ("relabel", made, *DIGITS, "rethink-hard-quick@1", "-o", "other")
    assert "labels no view" in refused(*hard)
    shard = next(bank.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1])
    assert "missing or truncated" in refused("show", bank)
