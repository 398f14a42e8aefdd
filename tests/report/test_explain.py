from hydrometer.report import explain


def test_a_protocol_states_its_settings():
    said = explain.protocol("ddranking-hard-quick@1", "convnet(depth=2)")
    assert said.startswith("ddranking-hard-quick@1: ")
    for part in ("Student convnet(depth=2)", "100 epochs", "augmentation dsa", "5 seeds",
                 "chosen on val from 0.01, 0.03, 0.1", "Full data: 4 epochs"):  # fmt: skip
        assert part in said


def test_a_changed_protocol_does_not_speak_as_the_released_one():
    said = explain.protocol("ddranking-hard-quick@1{epochs=7,student=lenet}", "convnet")
    assert "a changed ddranking-hard-quick@1, not to be compared with it" in said
    assert "7 epochs" in said
    assert "100 epochs" not in said
    assert "lenet" in said
    assert "convnet" not in said


def test_a_protocol_of_another_installation_is_said_to_be_unknown():
    assert "not known" in explain.protocol("no-such-protocol@9")


def test_metrics_say_unit_and_direction():
    assert explain.metric("hlr").endswith("In percentage points; lower is better.")
    assert explain.metric("ior").endswith("In percentage points; higher is better.")
    assert explain.metric("accuracy").endswith("In percent; higher is better.")
    assert explain.metric("lrs(w=0.3)").startswith("Label-robust score")
    assert explain.metric("lrs(w=0.3)").endswith("Times 100; higher is better.")
    assert "not known" in explain.metric("zeal")
