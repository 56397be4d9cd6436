"""Several processes give what one gives."""

import ipaddress
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from tests.training.several_processes import CASES, train
from tests.training.test_run import Recorder
from workbench.errors import RunError
from workbench.runs.launcher import start_ranks, wait_for_ranks
from workbench.runs.process import child_environment, module_command
from workbench.training.distributed import ALONE, ProcessGroup, init_process_group


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 2, 4, 6, 7])
def test_shares_are_of_one_length_and_hold_everything(size: int, count: int) -> None:
    items = list(range(count))
    shares = [list(ProcessGroup(rank, size).shard(items)) for rank in range(size)]
    assert {len(share) for share in shares} == {-(-count // size)}
    dealt = [item for turn in zip(*shares, strict=True) for item in turn]
    assert dealt[:count] == items and set(dealt[count:]) <= {count - 1}
    assert all(share == sorted(share) for share in shares)


def test_one_process_is_asked_by_nobody() -> None:
    vectors = torch.ones(3, 2, requires_grad=True)
    assert ALONE.gather(vectors, 3) is vectors
    assert ALONE.broadcast("best") == "best" and ALONE.sum(3, 4) == [3, 4]
    assert init_process_group(torch.device("cpu"), 1, Path()) is ALONE


def test_a_process_that_was_started_alone_says_so() -> None:
    with pytest.raises(RunError, match="`devices` 2 needs as many processes"):
        init_process_group(torch.device("cpu"), 2, Path())


def test_only_a_lost_connection_is_laid_at_another_process() -> None:
    lost = RuntimeError("[/x/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:42419.")
    explained = ProcessGroup(1, 2).explain(lost)
    assert explained is not None and "One of the run's 2 processes ended" in explained.message
    assert ProcessGroup(1, 2).explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert ALONE.explain(lost) is None


def test_nccls_words_for_a_lost_process_are_understood() -> None:
    remote = "NCCL error in: ProcessGroupNCCL.cpp:3690, remote process exited or there was a network error, NCCL version 2.27.5"
    for lost in (dist.DistBackendError(remote), dist.DistNetworkError("Connection reset by peer")):
        explained = ProcessGroup(1, 2).explain(lost)
        assert explained is not None and "One of the run's 2 processes ended" in explained.message
    own = dist.DistBackendError("NCCL error in: ProcessGroupNCCL.cpp:3690, unhandled cuda error, Cuda failure 2 'out of memory'")
    assert ProcessGroup(1, 2).explain(own) is None


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def both(tiny_bert: Path, sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of all cases, trained in one process and in two."""
    folder = tmp_path_factory.mktemp("devices")
    base = folder / "base"
    shutil.copytree(tiny_bert, base)
    config = json.loads((base / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (base / "config.json").write_text(json.dumps(config))
    (folder / "sentences.json").write_text(json.dumps(sentences))
    one, two = folder / "one", folder / "two"
    two.mkdir()
    arguments = [str(base), str(folder / "sentences.json"), str(two)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("CUDA_VISIBLE_DEVICES", "-1")
        ranks = start_ranks(module_command("tests.training.several_processes", *arguments), 2, ROOT)
    assert wait_for_ranks(ranks) == (0, 0)
    for case in CASES:
        train(case, base, sentences, one, 1, Recorder())
    return one, two


@pytest.mark.parametrize("case", CASES)
def test_two_processes_give_the_losses_and_weights_of_one(case: str, both: tuple[Path, Path]) -> None:
    one, two = (json.loads((folder / case / "told.json").read_text()) for folder in both)
    assert len(one["train"]) == len(two["train"]) == 6
    for name, tolerance in (("loss", 1e-5), ("grad_norm", 1e-4), ("learning_rate", 1e-9)):
        found, wanted = ([point[name] for point in told["train"]] for told in (two, one))
        assert found == pytest.approx(wanted, abs=tolerance), name
    weights, wanted = (load_file(folder / case / "model" / "model.safetensors") for folder in (both[1], both[0]))
    assert set(weights) == set(wanted)
    for name, value in wanted.items():
        # The bias of the keys has no gradient but rounding errors, and Adam makes steps of them.
        tolerance = 1e-4 if name.endswith("key.bias") else 5e-6
        assert (weights[name] - value).abs().max() < tolerance, name
    assert two["result"]["device"] == "2 x cpu" and two["result"]["steps"] == one["result"]["steps"]


def test_training_has_moved_the_weights_that_are_compared(both: tuple[Path, Path]) -> None:
    for folder in both:
        base = load_file(folder.parent / "base" / "model.safetensors")["embeddings.LayerNorm.weight"]
        for case in CASES:
            tuned = load_file(folder / case / "model" / "model.safetensors")["embeddings.LayerNorm.weight"]
            assert (tuned - base).abs().max() > 1e-3, case


def test_the_first_process_tokenises_and_the_other_reads_what_it_left(both: tuple[Path, Path]) -> None:
    first, second = (json.loads((both[1] / f"cached-{rank}.json").read_text()) for rank in (0, 1))
    assert len(first) == len(second) == len(CASES)
    assert not first[0]
    assert all(second)


def test_nothing_listens_where_another_machine_could_reach_it(both: tuple[Path, Path]) -> None:
    addresses = json.loads((both[1] / "listening.json").read_text())
    assert addresses, "the processes talk over sockets"
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses), addresses


@pytest.mark.slow
def test_torchrun_may_start_the_processes_too(both: tuple[Path, Path], tmp_path: Path) -> None:
    base, sentences = both[0].parent / "base", both[0].parent / "sentences.json"
    command = module_command(
        "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "tests.training.several_processes"
    )
    environment = child_environment({"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"})
    arguments = [str(base), str(sentences), str(tmp_path), "scores"]
    ended = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-4000:]
    told = [json.loads((folder / "scores" / "told.json").read_text()) for folder in (tmp_path, both[1])]
    losses = [[point["loss"] for point in each["train"]] for each in told]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
