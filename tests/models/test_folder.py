"""Model folders are read by allow-list: nothing a file names is imported, damage is told as text."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.errors import ModelError
from workbench.models import SentenceTransformer
from workbench.models.folder import read_folder


@pytest.fixture
def saved(minimal: SentenceTransformer, tmp_path: Path) -> Path:
    minimal.save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.fixture
def minimal(tiny_bert: Path) -> SentenceTransformer:
    from workbench.models import Dense, Normalize, Pooling, Transformer

    torch.manual_seed(0)
    return SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 8), Normalize()], device="cpu")


def edit(path: Path, **changes: object) -> None:
    data = json.loads(path.read_text())
    data.update(changes)
    path.write_text(json.dumps(data))


def test_an_unknown_module_type_is_refused_and_not_imported(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = json.loads((saved / "modules.json").read_text())
    entries[2]["type"] = "evil_module.Dense"
    (saved / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(ModelError, match=r"'evil_module.Dense'.*does not load"):
        SentenceTransformer(saved)


@pytest.mark.parametrize("activation", ["os.system", "torch.nn.modules.container.Sequential", "evil.Tanh"])
def test_an_unknown_activation_is_refused(saved: Path, activation: str) -> None:
    edit(saved / "2_Dense" / "config.json", activation_function=activation)
    with pytest.raises(ModelError, match="activation function"):
        SentenceTransformer(saved)


def test_a_module_outside_the_folder_is_refused(saved: Path) -> None:
    entries = json.loads((saved / "modules.json").read_text())
    entries[2]["path"] = "../../elsewhere"
    (saved / "modules.json").write_text(json.dumps(entries))
    with pytest.raises(ModelError, match="outside its folder"):
        read_folder(saved)


def test_pickled_weights_load_without_running_anything(saved: Path, minimal: SentenceTransformer) -> None:
    from safetensors.torch import load_file

    folder = saved / "2_Dense"
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert np.array_equal(SentenceTransformer(saved, device="cpu").encode("move it"), minimal.encode("move it"))

    class Bomb:
        def __reduce__(self) -> tuple:
            return (exit, ("ran",))

    torch.save({"linear.weight": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="code in a model is never run") as refused:
        SentenceTransformer(saved, device="cpu")
    assert "weights_only" not in str(refused.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "2_Dense" / "model.safetensors").unlink(), "holds no model.safetensors"),
        (lambda f: (f / "modules.json").write_text("[{]"), "modules.json` cannot be read"),
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "1_Pooling" / "config.json").write_text("[]"), "JSON object"),
        (lambda f: edit(f / "1_Pooling" / "config.json", pooling_mode_mean_tokens=False), "pooling modes"),
        (lambda f: edit(f / "2_Dense" / "config.json", out_features=9), "another shape"),
        (lambda f: edit(f / "2_Dense" / "config.json", use_residual=True), "residual"),
        (lambda f: edit(f / "2_Dense" / "config.json", module_input_name="token_embeddings"), "sentence_embedding only"),
    ],
)
def test_damage_is_told_in_words(saved: Path, damage: object, message: str) -> None:
    damage(saved)  # type: ignore[operator]
    with pytest.raises(ModelError, match=message):
        SentenceTransformer(saved, device="cpu")


def test_a_missing_normalize_folder_and_the_new_form(saved: Path, minimal: SentenceTransformer) -> None:
    wanted = minimal.encode("move my router")
    shutil.rmtree(saved / "3_Normalize")
    assert np.array_equal(SentenceTransformer(saved, device="cpu").encode("move my router"), wanted)
    entries = json.loads((saved / "modules.json").read_text())
    new = [
        "sentence_transformers.base.modules.transformer.Transformer",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        "sentence_transformers.base.modules.dense.Dense",
        "sentence_transformers.base.modules.normalize.Normalize",
    ]
    (saved / "modules.json").write_text(json.dumps([{**entry, "type": name} for entry, name in zip(entries, new, strict=True)]))
    (saved / "1_Pooling" / "config.json").write_text(
        json.dumps({"embedding_dimension": 32, "pooling_mode": "mean", "include_prompt": True})
    )
    assert np.array_equal(SentenceTransformer(saved, device="cpu").encode("move my router"), wanted)


def test_an_encoder_in_a_sub_folder(saved: Path, minimal: SentenceTransformer) -> None:
    inner = saved / "0_Transformer"
    inner.mkdir()
    for file in [
        item
        for item in saved.iterdir()
        if item.is_file() and item.name not in {"modules.json", "config_sentence_transformers.json"}
    ]:
        file.rename(inner / file.name)
    entries = json.loads((saved / "modules.json").read_text())
    entries[0]["path"] = "0_Transformer"
    (saved / "modules.json").write_text(json.dumps(entries))
    assert np.array_equal(SentenceTransformer(saved, device="cpu").encode("pay the invoice"), minimal.encode("pay the invoice"))


def test_no_machine_path_is_saved(saved: Path, tiny_bert: Path) -> None:
    for file in saved.rglob("*.json"):
        text = file.read_text(encoding="utf-8")
        assert str(tiny_bert) not in text and str(saved.parent) not in text, file.name
