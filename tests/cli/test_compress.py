from hydrometer.methods.match import outer


def test_compress_says_what_it_trains_how_val_goes_and_keeps_results_apart(succeed, monkeypatch):
    monkeypatch.setattr(outer.Judge, "__call__", lambda self, state: 0.5)
    spec = "mtt(experts=1,epochs=1,max_start=1,span=1,steps=1,iterations=2,checks=2,width=4)"
    out, err = succeed("compress", "-s", "digits", "-m", spec, "--ipc", "1")
    assert "experts to train: 1 of convnet(depth=2,norm=instance,width=4), 1 epochs, " in err
    assert err.endswith(
        "iteration 1 of 2: val accuracy 0.500\niteration 2 of 2: val accuracy 0.500\n"
    )
    assert out.startswith("set.safetensors: 10 images by mtt(")
