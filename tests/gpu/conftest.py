"""What only a GPU can show. `pytest -m gpu tests/gpu --on cpu` goes through the same lines without one."""

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--on", choices=("cuda", "cpu"), default="cuda", help="the device; cpu rehearses the tests themselves")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """Where to compute; skips where there is no GPU."""
    name = request.config.getoption("--on", "cuda")  # unknown where pytest was not started for this folder
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA GPU, and this machine offers none")
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


@pytest.fixture(scope="session")
def gpu(device: torch.device) -> torch.device:
    """The GPU; skips also where the tests are rehearsed on the CPU, which has nothing of the kind."""
    if device.type != "cuda":
        pytest.skip("a CPU has nothing of the kind")
    return device
