"""The printed program does run, with the real sentence-transformers, for every kind of data."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.recipe import KINDS, ArchitectureSpec, LayerSpec, Recipe, TrainingConfig, parse_layers
from workbench.runs.program import program_of_recipe


def write(kind: str, sentences: list[str], path: Path) -> Path:
    generator = np.random.default_rng(0)
    labels = {"scored_pairs": ["0", "0.5", "1", "0.2"], "labelled_pairs": ["0", "1"], "class_pairs": ["yes", "no", "perhaps"]}
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(KINDS[kind].roles)
        for row in range(66):
            texts = [sentences[3 * row + index] for index in range(len(KINDS[kind].texts))]
            writer.writerow([*texts, *([str(generator.choice(labels[kind]))] if kind in labels else [])])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_program_trains_and_saves(kind: str, tiny_bert: Path, sentences: list[str], home: Path, tmp_path: Path) -> None:
    data = write(kind, sentences, tmp_path / "data.csv")
    stack = ArchitectureSpec(
        (LayerSpec("transformer"), *parse_layers("pooling:mean+max,dense:16:relu,dropout:0.1,layernorm,normalize"))
    )
    recipe = Recipe(str(tiny_bert), str(data), stack, training=TrainingConfig(epochs=1, batch_size=16, device="cpu"))
    program = tmp_path / "program.py"
    program.write_text(program_of_recipe(recipe, home, tmp_path / "parts"), encoding="utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    if kind != "class_pairs":
        assert "before:" in done.stdout and "after:" in done.stdout
    from workbench import SentenceTransformer

    assert SentenceTransformer(tmp_path / "model", device="cpu").encode("pay it").shape == (16,)
