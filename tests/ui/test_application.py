import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.settings import Settings
from workbench.ui.server import address, serve

ROOT = Path(__file__).parents[2]


def run_python(code, home):
    environment = {**os.environ, "WORKBENCH_HOME": str(home)}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)


def test_the_page_is_built_without_torch(home):
    code = """
import sys
import workbench.ui
assert "gradio" not in sys.modules, "naming the room must cost nothing"
from pathlib import Path
from workbench.settings import Settings
from workbench.ui import create_app
create_app(Settings(home=Path(sys.argv[1]) if len(sys.argv) > 1 else Path("HOME")))
print(sorted(set(sys.modules) & {"torch", "transformers"}))
""".replace('Path("HOME")', f"Path({str(home)!r})")
    done = run_python(code, home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_app_ends_with_2_and_one_sentence_when_an_option_is_wrong(home):
    for arguments, words in [
        (["--host", "0.0.0.0"], "--auth USER:PASSWORD"),
        (["--port", "99999"], "between 0 and 65535"),
        (["--auth", "nocolon"], "USER:PASSWORD"),
        (["--root-path", "workbench"], "a path such as /workbench"),
        (["--allow-frame", "*"], "an origin such as"),
        (["--trusted-proxy", "localhost"], "an address such as"),
        (["--auth-file", str(home / "nothing")], "cannot be read"),
    ]:
        done = subprocess.run(
            [sys.executable, "app.py", "--home", str(home), *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_before_anything_is_installed_it_says_what_to_do():
    ended = subprocess.run([sys.executable, "-S", "app.py"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert ended.stderr == "The package lazy_loader is not installed; run `pip install -r requirements.txt` first.\n"


def test_a_port_in_use_is_said_in_words(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"Port {port} of 127\.0\.0\.1 cannot be used .*`--port`"):
            serve(Settings(home=home, port=port))


def test_a_home_that_cannot_be_created_is_said_in_words(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(InputError, match="choose another with `--home`"):
        serve(Settings(home=file / "home", port=0))


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:5"), ("0.0.0.0", "http://127.0.0.1:5"), ("::1", "http://[::1]:5"), ("::", "http://[::1]:5")],
)
def test_the_address_can_be_opened(host, url):
    assert address(host, 5) == url


def test_port_0_is_printed_and_sigterm_ends_the_server(home):
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", "--home", str(home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        url, _, token = line.split()[2].partition("/?token=")
        assert url.startswith("http://127.0.0.1:")
        asked = urllib.request.Request(f"{url}/api/runs", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"{url}/api/health", timeout=30) as answer:
            assert answer.status == 200
        # A browser's open connection must not keep the server alive.
        held = urllib.request.urlopen(f"{url}/gradio_api/heartbeat/test?token={token}", timeout=30)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
        held.close()
    finally:
        process.kill()
        _, errors = process.communicate()
    assert "Traceback" not in errors
    assert process.returncode in {0, -signal.SIGTERM}
