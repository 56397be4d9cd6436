import os
import subprocess
import sys

import pytest

from workbench.errors import InputError
from workbench.settings import Settings, hidden_socks_proxies


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "auth"
    path.write_text("ada:lä:ng\nmore\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_the_password_comes_from_option_file_or_environment(home, password_file, monkeypatch):
    assert Settings.from_environment(home, auth_file=password_file).auth == ("ada", "lä:ng")
    assert Settings.from_environment(home, auth="a:b").auth == ("a", "b")
    monkeypatch.setenv("WORKBENCH_AUTH", "c:d")
    assert Settings.from_environment(home).auth == ("c", "d")
    assert Settings.from_environment(home, auth_file=password_file).auth == ("ada", "lä:ng")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_password_file_that_others_can_read_is_refused(home, password_file, mode):
    password_file.chmod(mode)
    with pytest.raises(InputError, match=rf"mode {mode:03o}.*chmod 600"):
        Settings.from_environment(home, auth_file=password_file)


@pytest.mark.parametrize("content", [b"", b"ada", b"ada:\n", b":x", b"\xff\xfe:x"])
def test_a_password_file_without_a_password_is_refused(home, password_file, content):
    password_file.write_bytes(content)
    with pytest.raises(InputError, match="auth-file"):
        Settings.from_environment(home, auth_file=password_file)


def test_option_and_file_are_not_both_taken(home, password_file):
    with pytest.raises(InputError, match="give one of them"):
        Settings.from_environment(home, auth="a:b", auth_file=password_file)
    with pytest.raises(InputError, match="cannot be read"):
        Settings.from_environment(home, auth_file=password_file.parent / "nothing")


@pytest.mark.parametrize(
    "options",
    [
        {"root_path": "a"},
        {"root_path": "/a b"},
        {"root_path": "//evil.example"},
        {"root_path": "/a;b"},
        {"frame_origins": ("*",)},
        {"frame_origins": ("https://a.example/path",)},
        {"frame_origins": ("https://a.example; script-src *",)},
        {"trusted_proxies": ("proxy.example",)},
        {"trusted_proxies": ("10.0.0.1/8",)},
    ],
)
def test_options_that_cannot_mean_anything_are_refused(home, options):
    with pytest.raises(InputError, match="must be"):
        Settings(home=home, **options)


def test_a_slash_at_the_end_of_the_path_does_not_matter(home):
    assert Settings.from_environment(home, root_path="/tools/bench/").root_path == "/tools/bench"
    assert Settings.from_environment(home, root_path="/").root_path == ""


def test_a_public_address_needs_a_password_token_or_not(home):
    with pytest.raises(InputError, match="WORKBENCH_AUTH"):
        Settings(home=home, host="0.0.0.0")


def test_socks_proxies_are_hidden_where_nothing_can_use_them(monkeypatch):
    monkeypatch.setattr("workbench.settings.find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "SOCKS5h://127.0.0.1:9")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with hidden_socks_proxies():
        assert "ALL_PROXY" not in os.environ and "HTTPS_PROXY" in os.environ
    assert os.environ["ALL_PROXY"] == "SOCKS5h://127.0.0.1:9"


@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_a_socks_proxy_does_not_stop_the_start(home, variable):
    code = "import pathlib, sys; from workbench.settings import Settings; from workbench.ui import create_app\n"
    code += "create_app(Settings(home=pathlib.Path(sys.argv[1]), needs_token=False)); print('made')"
    environment = {**os.environ, variable: "socks5://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", code, str(home)], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout == "made\n", done.stderr
