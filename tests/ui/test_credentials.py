import stat

import pytest
from starlette.testclient import TestClient

from tests.ui.test_access import application, basic
from workbench.errors import InputError
from workbench.settings import Settings
from workbench.ui.credentials import FREE_GUESSES, LONGEST_DELAY_SECONDS, Credentials, Guesses, read_access_token

TOKEN = "t" * 43


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def client(home, clock=None, token=TOKEN, port=7860, **settings):
    wanted = Settings(home=home, port=port, **settings)
    credentials = Credentials(wanted, token, Guesses(clock or Clock()))
    return TestClient(application(wanted, credentials), base_url="http://127.0.0.1:7860", follow_redirects=False)


@pytest.fixture
def page(home):
    return client(home)


def test_a_missing_token_is_asked_for_on_a_page(page):
    answer = page.get("/?tab=train&x=%22%3E%3Cb%3E")
    assert answer.status_code == 401 and answer.headers["content-type"].startswith("text/html")
    assert "printed" in answer.text and 'name="token"' in answer.text
    assert 'name="tab" value="train"' in answer.text and "<b>" not in answer.text
    assert page.get("/api/runs").status_code == 401 and page.post("/").status_code == 401


def test_the_printed_address_makes_the_browser_remember_and_leaves_no_token_in_it(page):
    answer = page.get(f"/?token={TOKEN}&tab=train&name=%C3%A4%26")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tab=train&name=%C3%A4%26")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"workbench-7860={TOKEN};") and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    assert page.get("/").text == "in"  # the client keeps the cookie, as a browser does
    assert "set-cookie" not in page.get("/").headers


def test_the_whole_address_may_be_pasted(page):
    answer = page.get("/", params={"token": f" http://127.0.0.1:7860/?token={TOKEN}&tab=x \n"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_scripts_say_it_in_a_header_or_in_the_address(page):
    assert page.get("/api/runs", headers={"Authorization": f"Bearer {TOKEN}"}).text == "in"
    assert page.get(f"/echo?a=1&token={TOKEN}").text == "a=1", "no one behind the gate sees the token"


@pytest.mark.parametrize("token", ["", "t" * 42, "t" * 44, "ä" * 43, "t" * 20_000, "\x00", "%ff%fe"])
def test_another_token_is_none(page, token):
    assert page.get("/api/runs", params={"token": token}).status_code == 401
    assert page.get("/api/runs", headers={"Authorization": b"Bearer " + token.encode()}).status_code == 401
    assert page.get("/api/runs", headers={"Cookie": b"workbench-7860=" + token.encode()}).status_code == 401


def test_two_workbenches_of_a_machine_have_a_cookie_each(home):
    other = client(home, port=7861)
    assert other.get(f"/?token={TOKEN}").headers["set-cookie"].startswith("workbench-7861=")


def test_health_is_open_and_no_token_lets_everybody_in(home, page):
    assert page.get("/api/health").text == "in"
    assert client(home, token=None).get("/").text == "in"


def test_a_password_takes_the_place_of_the_token(home):
    page = client(home, auth=("ada", "x"))
    assert page.get(f"/?token={TOKEN}").status_code == 401
    assert page.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    answer = page.get("/", headers=basic("ada:x"))
    assert answer.text == "in" and answer.headers["set-cookie"].startswith("workbench-7860=")
    assert page.get("/").text == "in", "the cookie stands for the password"


@pytest.mark.parametrize("said", ["ada:", "ada:xx", "ADA:x", "äda:x", "ada:" + "x" * 30_000, ":", "ada:\x00"])
def test_another_password_is_none(home, said):
    assert client(home, auth=("ada", "x")).get("/", headers=basic(said)).status_code == 401


def test_guesses_are_slowed_and_logged_without_what_was_guessed(home, clock, caplog):
    page = client(home, clock, auth=("ada", "right"))
    for number in range(FREE_GUESSES):
        assert page.get("/", headers=basic(f"ada:guess{number}")).status_code == 401
    refused = page.get("/", headers=basic("ada:right"))
    assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
    assert "Too many wrong guesses" in refused.text
    clock.now += 1
    assert page.get("/", headers=basic("ada:more")).status_code == 401
    assert page.get("/", headers=basic("ada:right")).headers["retry-after"] == "2"
    clock.now += 2
    assert page.get("/", headers=basic("ada:right")).text == "in"
    assert len(caplog.records) == FREE_GUESSES + 1
    assert "testclient" in caplog.text and "guess" not in caplog.text and "right" not in caplog.text


def test_who_is_already_in_does_not_wait_for_those_who_guess(home, clock):
    page = client(home, clock, auth=("ada", "right"))
    page.get("/", headers=basic("ada:right"))
    for number in range(FREE_GUESSES + 3):
        page.get("/", headers={**basic(f"ada:{number}"), "Cookie": ""})
    assert page.get("/").text == "in"
    page = client(home, clock)
    for number in range(FREE_GUESSES + 3):
        answer = page.get("/", params={"token": str(number)})
    assert answer.status_code == 429
    assert page.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).text == "in", "a token is too long to be guessed"


def test_the_delay_is_bounded_and_forgotten(clock):
    guesses = Guesses(clock)
    for number in range(200):
        guesses.failed("10.0.0.1", b"%d" % number)
    assert guesses.wait("10.0.0.1", b"new") == LONGEST_DELAY_SECONDS
    assert guesses.wait("10.0.0.2", b"new") == 0
    clock.now += 3600
    guesses.failed("10.0.0.1", b"again")
    assert guesses.wait("10.0.0.1", b"new") == 0


def test_an_open_page_that_says_an_old_password_is_not_guessing(clock):
    guesses = Guesses(clock)
    for _ in range(100):
        guesses.failed("10.0.0.1", b"old")
    assert guesses.wait("10.0.0.1", b"new") == 0


def test_one_network_of_ipv6_is_one_guesser_and_few_are_remembered(clock, monkeypatch):
    guesses = Guesses(clock)
    for number in range(FREE_GUESSES):
        guesses.failed(f"2001:db8::{number:x}", b"%d" % number)
    assert guesses.wait("2001:db8::ffff", b"new") > 0
    assert guesses.wait("2001:db8:0:1::1", b"new") == 0
    monkeypatch.setattr("workbench.ui.credentials.ADDRESSES_REMEMBERED", 3)
    for number in range(5):
        guesses.failed(f"10.0.0.{number}", b"x")
    assert len(guesses._seen) == 3


def test_the_token_is_drawn_once_for_its_owner_alone(home):
    home.mkdir()
    token = read_access_token(home)
    assert len(token) == 43 and read_access_token(home) == token
    assert stat.S_IMODE((home / "access-token").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["access-token"]


@pytest.mark.parametrize("spoil", ["open", "short", "binary", "link"])
def test_a_token_that_is_no_secret_is_replaced(home, tmp_path, spoil):
    home.mkdir()
    path = home / "access-token"
    token = read_access_token(home)
    if spoil == "open":
        path.chmod(0o644)
    elif spoil == "short":
        path.write_text("a\n")
    elif spoil == "binary":
        path.write_bytes(b"\xff\xfe" * 30)
    else:
        chosen = tmp_path / "chosen"
        path.rename(chosen)
        path.symlink_to(chosen)
    fresh = read_access_token(home)
    assert fresh != token and read_access_token(home) == fresh
    assert not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_that_cannot_be_kept_is_said_in_words(home):
    (home / "access-token").mkdir(parents=True)
    with pytest.raises(InputError, match="--no-token"):
        read_access_token(home)
