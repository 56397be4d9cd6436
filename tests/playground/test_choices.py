import pytest

from workbench.errors import InputError, ModelError
from workbench.playground import model_choices, resolve_encoder
from workbench.playground.gpu import gpu_is_taken
from workbench.recipe import TrainingConfig
from workbench.runs.run import run_folder


def test_finished_runs_come_first_then_what_they_started_from_then_bases(home, add_run, tiny_bert):
    old, new = add_run("completed", "old"), add_run("completed", "new")
    add_run("running", "unfinished")
    add_run("failed", "without a model")
    (home / "models").mkdir()
    (home / "models" / "mine").symlink_to(tiny_bert)
    choices = model_choices(home)
    models = [model for _, model in choices]
    assert models[:4] == [new, old, f"base:{new}", f"base:{old}"]
    assert choices[0][0] == f"new ({new})"
    assert "scratch" not in models
    assert str(home / "models" / "mine") in models


def test_a_new_home_offers_bases_only(home):
    assert not any(model.startswith("base:") for _, model in model_choices(home))


def test_names_stand_for_folders(home, add_run, tiny_bert, tmp_path, monkeypatch):
    run_id = add_run("completed", base=str(tiny_bert))
    model = run_folder(run_id, home) / "model"
    assert resolve_encoder(run_id, home) == str(model)
    assert resolve_encoder(f"base:{run_id}", home) == str(tiny_bert)
    assert resolve_encoder("owner/name", home) == "owner/name"
    monkeypatch.chdir(tiny_bert.parent)
    assert resolve_encoder(tiny_bert.name, home) == str(tiny_bert)


def test_what_a_run_started_from_is_its_own_base_folder_or_another_runs_model(home, add_run):
    from_scratch = add_run("completed")
    with pytest.raises(ModelError, match="has not built its untrained encoder"):
        resolve_encoder(f"base:{from_scratch}", home)
    own = run_folder(from_scratch, home) / "base"
    own.mkdir()
    assert resolve_encoder(f"base:{from_scratch}", home) == str(own)
    second = add_run("completed", base=from_scratch)
    assert resolve_encoder(f"base:{second}", home) == str(run_folder(from_scratch, home) / "model")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("", "No model was chosen"),
        ("scratch", "no weights before it is trained"),
        ("20260101-000000-aaaa", "There is no run"),
        ("base:20260101-000000-aaaa", "There is no run"),
        ("base:../..", "is no run id"),
    ],
)
def test_what_cannot_be_tried_is_said_in_words(model, reason, home):
    with pytest.raises(InputError, match=reason):
        resolve_encoder(model, home)


@pytest.mark.parametrize(
    ("status", "asked", "device", "taken"),
    [
        ("running", "auto", "cuda", True),
        ("stopping", "cuda:0", "cuda", True),
        ("running", "auto", "", True),
        ("running", "mps", "mps", True),
        ("running", "auto", "2 x cuda", True),
        ("queued", "auto", "", True),
        ("queued", "cuda", "", True),
        ("running", "auto", "cpu", False),
        ("running", "auto", "2 x cpu", False),
        ("queued", "cpu", "", False),
        ("running", "cuda:1", "cuda", False),
        ("queued", "cuda:1", "", False),
        ("completed", "auto", "cuda", False),
    ],
)
def test_the_gpu_is_taken_while_a_run_may_use_it(status, asked, device, taken, home, add_run):
    add_run(status, device=device, training=TrainingConfig(device=asked))
    assert gpu_is_taken(home) is taken
