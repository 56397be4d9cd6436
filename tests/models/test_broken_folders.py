"""Whatever is in a model folder, it is loaded, twice the same, or refused in one sentence; nothing is made up."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzzing import broken_bytes, broken_json, is_one_sentence
from workbench.errors import ModelError
from workbench.models import Dense, LayerNorm, Normalize, Pooling, SentenceTransformer, Transformer
from workbench.models.folder import read_folder

TEXTS = ["please check my router", "", "pay the invoice and the 東京 phone"]


@pytest.fixture(scope="module")
def good(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "model"
    layers = [Transformer(tiny_bert), Pooling(32), Dense(32, 8), LayerNorm(8), Normalize()]
    SentenceTransformer(modules=layers, device="cpu").save(folder)
    return folder


def break_one(draw: random.Random, good: Path, folder: Path) -> None:
    """Copy a folder with one of its files broken or missing."""
    files = sorted(path for path in good.rglob("*") if path.is_file())
    chosen = draw.choice(files)
    for path in files:
        place = folder / path.relative_to(good)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path != chosen:
            os.link(path, place)
        elif draw.random() < 0.95:
            data = path.read_bytes()
            if path.suffix == ".json" and draw.random() < 0.7:
                place.write_bytes(broken_json(draw, data.decode()))
            elif path.suffix == ".safetensors" and draw.random() < 0.7:
                # The header is a small part of the file, and what is most worth breaking.
                end = 8 + int.from_bytes(data[:8], "little")
                place.write_bytes(broken_bytes(draw, data[:end]) + data[end:])
            else:
                place.write_bytes(broken_bytes(draw, data))


def load_twice(seed: int, good: Path, folder: Path) -> str:
    """Load a broken folder as users do; return how it ended."""
    break_one(random.Random(seed), good, folder)
    try:
        about = read_folder(folder)
        _ = about.layers, about.width, about.num_parameters()
        first = SentenceTransformer(folder, device="cpu").encode(TEXTS)
        assert np.isfinite(first).all()
        assert np.array_equal(first, SentenceTransformer(folder, device="cpu").encode(TEXTS))
    except ModelError as error:
        assert is_one_sentence(str(error)), error
        return "refused"
    finally:
        shutil.rmtree(folder)
    return "loaded"


@pytest.mark.parametrize(("first", "count"), [(0, 250), pytest.param(1_000, 10_000, marks=pytest.mark.slow)], ids=["some", "many"])
@pytest.mark.filterwarnings("ignore")  # what transformers thinks of odd settings
def test_broken_folders(first: int, count: int, good: Path, tmp_path: Path) -> None:
    ends = []
    for seed in range(first, first + count):
        try:
            ends.append(load_twice(seed, good, tmp_path / str(seed)))
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert min(ends.count("loaded"), ends.count("refused")) > count // 10


@pytest.mark.parametrize(
    ("file", "value", "words"),
    [
        ("config_sentence_transformers.json", {"prompts": {}, "default_prompt_name": "query"}, "no prompt of that name"),
        ("2_Dense/config.json", {"out_features": 10**6}, "must be a whole number from 1 up to 65536, got 1000000"),
    ],
)
def test_settings_that_contradict_are_named(file: str, value: dict[str, object], words: str, good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "model")
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **value}))
    with pytest.raises(ModelError, match=words):
        _ = read_folder(folder).layers


def test_modules_that_cannot_follow_one_another_are_refused(good: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(good, tmp_path / "model")
    entries = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([entries[0], *entries[2:]]))
    with pytest.raises(ModelError, match="Dense takes a sentence vector, but Transformer before it returns token vectors"):
        read_folder(folder)


def test_loading_and_saving_draw_no_bars_where_nobody_watches(good: Path, tmp_path: Path) -> None:
    program = "import sys; from workbench import SentenceTransformer; SentenceTransformer(sys.argv[1]).save(sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(good), str(tmp_path / "copy")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "" and done.stderr == ""
