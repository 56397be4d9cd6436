import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest

from workbench.errors import InputError, ModelError, RunError
from workbench.playground import EncoderProcess, similarity
from workbench.playground.matrix import cosine_matrix
from workbench.runs.process import child_environment

TEXTS = ["please move my router", "please pay my invoice and the phone", "please move my router"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    with EncoderProcess(tmp_path_factory.mktemp("home")) as process:
        yield process


def test_a_model_in_the_process_gives_the_vectors_it_gives_here(encoder, tiny_bert):
    from workbench.models import SentenceTransformer

    vectors = encoder.encode(str(tiny_bert), TEXTS)
    assert vectors.dtype == np.float32 and vectors.flags.writeable
    np.testing.assert_allclose(vectors, SentenceTransformer(str(tiny_bert), device="cpu").encode(TEXTS), atol=1e-5)
    assert encoder.encode(str(tiny_bert), []).shape == (0, 32)


def test_similarity_compares_every_text_with_every_other(encoder, tiny_bert):
    matrices = similarity(encoder, [str(tiny_bert), str(tiny_bert)], TEXTS)
    (matrix,) = matrices.values()
    assert matrix.shape == (3, 3)
    np.testing.assert_allclose(np.diag(matrix), 1.0, atol=1e-6)
    np.testing.assert_allclose(matrix, matrix.T)
    assert matrix[0, 2] == pytest.approx(1.0) and matrix[0, 1] < 0.9999


def test_errors_come_back_as_what_they_were(encoder, tmp_path):
    with pytest.raises(ModelError, match="holds no model"):
        encoder.encode(str(tmp_path), TEXTS)
    with pytest.raises(InputError, match="item 1 is int"):
        encoder.encode(str(tmp_path), ["a", 1])
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError) as caught:
        encoder.encode(str(tmp_path), TEXTS)
    assert "Traceback" not in str(caught.value)


def test_the_process_is_started_again_after_it_died(encoder, tiny_bert):
    before = encoder.encode(str(tiny_bert), TEXTS)
    process = psutil.Process(encoder.pid)
    process.kill()
    process.wait()
    np.testing.assert_array_equal(encoder.encode(str(tiny_bert), TEXTS), before)
    assert encoder.pid != process.pid


def test_requests_of_several_threads_are_not_mixed_up(encoder, tiny_bert):
    texts = [f"please {verb} my router" for verb in ("move", "pay", "check", "return", "reset", "cancel")]
    alone = [encoder.encode(str(tiny_bert), [text]) for text in texts]
    together = [None] * len(texts)

    def ask(index):
        together[index] = encoder.encode(str(tiny_bert), [texts[index]])

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert len({tuple(row[0].round(5)) for row in alone}) == len(texts)


def test_closing_ends_the_process(encoder, tiny_bert):
    encoder.encode(str(tiny_bert), TEXTS)
    pid = encoder.pid
    encoder.close()
    encoder.close()
    assert encoder.pid is None and not psutil.pid_exists(pid)


def test_an_answer_that_takes_too_long_is_given_up(home, tiny_bert):
    with EncoderProcess(home, timeout=0.0) as encoder:
        with pytest.raises(RunError, match="did not answer within 0 seconds"):
            encoder.encode(str(tiny_bert), TEXTS)
        assert encoder.pid is None


def test_a_page_that_closes_does_not_wait_for_an_answer(home, tiny_bert):
    encoder = EncoderProcess(home)
    failures = []

    def ask():
        try:
            encoder.encode(str(tiny_bert), ["router " * 50] * 200_000)
        except RunError as error:
            failures.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    while encoder.pid is None:
        assert thread.is_alive()
    encoder.close()
    thread.join()
    assert len(failures) == 1 and "ended" in failures[0]


def test_the_process_ends_with_the_page_however_that_ends(home, tiny_bert):
    program = (
        "import os, sys; from pathlib import Path; from workbench.playground import EncoderProcess;"
        "encoder = EncoderProcess(Path(sys.argv[1])); encoder.encode(sys.argv[2], ['a']);"
        "assert 'torch' not in sys.modules;"
        "sys.stdout.write(str(encoder.pid)); sys.stdout.flush(); os._exit(9)"
    )
    page = subprocess.run(
        [sys.executable, "-c", program, str(home), str(tiny_bert)], env=child_environment(), capture_output=True, text=True
    )
    assert page.returncode == 9, page.stderr
    try:
        psutil.Process(int(page.stdout)).wait(timeout=60)
    except psutil.NoSuchProcess:
        return


def test_a_vector_of_zeros_is_like_nothing():
    matrix = cosine_matrix(np.array([[3, 4], [0, 0], [-3, -4]], dtype=np.float32))
    np.testing.assert_allclose(matrix, [[1, 0, -1], [0, 0, 0], [-1, 0, 1]], atol=1e-6)
    assert cosine_matrix(np.zeros((0, 5), dtype=np.float32)).shape == (0, 0)


def test_a_search_says_how_far_it_is_and_gives_every_score(encoder, tiny_bert):
    encoder.close()
    said = []
    found = encoder.search(str(tiny_bert), TEXTS, [TEXTS[1]], lambda model, stage: said.append((model, stage["stage"])))
    assert said == [(str(tiny_bert), "starting"), (str(tiny_bert), "loading")]
    assert found.scores.shape == (1, 3) and found.scores[0, 1] == pytest.approx(1, abs=1e-5) and not found.remembered
    assert encoder.search(str(tiny_bert), TEXTS, ["phone"]).remembered


def test_starting_loads_what_takes_long_and_no_model(encoder, tiny_bert):
    encoder.close()
    encoder.start()
    pid, said = encoder.pid, []
    points, shares = encoder.project(str(tiny_bert), TEXTS, tell=lambda model, stage: said.append(stage["stage"]))
    assert encoder.pid == pid and said == ["loading", "projecting"]
    assert points.shape == (3, 2) and len(shares) == 2
    np.testing.assert_allclose(points[0], points[2], atol=1e-5)


def test_contributions_come_from_the_process(encoder, tiny_bert):
    answer = encoder.contributions(str(tiny_bert), TEXTS[0], TEXTS[1])
    assert answer["method"] == "exact"
    assert sum(answer["sides"][0]["scores"]) == pytest.approx(answer["cosine"], abs=1e-6)
    with pytest.raises(InputError, match="finds no words"):
        encoder.contributions(str(tiny_bert), "", TEXTS[1])
