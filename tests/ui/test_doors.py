"""The printed address in a real browser, and the content security policy on every tab."""

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from workbench.settings import Settings

pytestmark = pytest.mark.browser
TABS = ("Build", "Data", "Train", "Runs", "Playground")


@pytest.fixture
def settings(home):
    return Settings(home=home, port=0)


def test_the_printed_address_opens_the_page_and_the_browser_remembers(page, server, watch, navigates):
    watch.allowed.append("401")
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Access token needed")).to_be_visible()
    page.get_by_label("Access token").fill("not the token")
    page.get_by_role("button", name="Open the workbench").click()
    expect(page.get_by_text("That is not the access token")).to_be_visible()
    page.get_by_label("Access token").fill(f"{server.url}/?token={server.token}")
    page.get_by_role("button", name="Open the workbench").click()
    expect(page.get_by_role("tab", name="Build", exact=True)).to_be_visible()
    assert "token" not in page.url
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["name"] == f"workbench-{server.url.rsplit(':', 1)[1]}"
    assert "workbench-" not in page.evaluate("document.cookie")
    page.goto(f"{server.url}/?tab=data")
    page.locator("#data-sample").click()
    expect(page.locator("#data-summary")).to_contain_text("852 scored pairs")


def test_every_tab_keeps_to_the_content_security_policy(page, server, watch):
    page.add_init_script(
        "window.violations = []; addEventListener('securitypolicyviolation',"
        " (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`))"
    )
    page.goto(f"{server.url}/?token={server.token}")
    for tab in TABS:
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tab", name=tab, exact=True)).to_have_attribute("aria-selected", "true")
        page.wait_for_load_state("load")
        page.wait_for_timeout(500)
    watch.allowed.append("http://127.0.0.1:9/")
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => 0)")  # so that the listener is known to hear
    page.wait_for_function("window.violations.length")
    assert page.evaluate("window.violations") == ["connect-src http://127.0.0.1:9/"]


@pytest.fixture
def hostile(server):
    """A page of another port of this machine."""
    import http.server
    import threading

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f'<iframe src="{server.url}/"></iframe>'.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    other = http.server.HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{other.server_port}"
    other.shutdown()
    other.server_close()


def test_a_page_of_another_port_neither_frames_nor_reads_nor_changes(page, server, hostile, watch):
    page.goto(f"{server.url}/?token={server.token}")  # cookies know no ports, so the hostile page asks with ours
    expect(page.get_by_role("tab", name="Build", exact=True)).to_be_visible()
    watch.allowed += ["CORS", "ERR_FAILED", "403", "frame", "Connection errored out", "ERR_BLOCKED_BY_RESPONSE"]
    page.goto(hostile)
    expect(page.frame_locator("iframe").get_by_role("tab", name="Build", exact=True)).to_have_count(0)
    read = "url => fetch(url, {credentials: 'include'}).then((answer) => answer.text()).catch(() => 'refused')"
    for path in ("/config", "/api/runs", "/gradio_api/info"):
        assert page.evaluate(read, server.url + path) == "refused"
    send = "url => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'}).catch(() => 'refused')"
    assert page.evaluate(send, f"{server.url}/gradio_api/queue/join") == "refused"


def test_without_the_token_nothing_but_health_answers(server):
    with urllib.request.urlopen(f"{server.url}/api/health", timeout=30) as answer:
        assert answer.status == 200
    for path in (
        "/",
        "/config",
        "/api/runs",
        "/gradio_api/info",
        "/wb-static/workbench.css",
        "/gradio_api/heartbeat/x",
        "/theme.css",
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.url + path, timeout=30)
        assert refused.value.code == 401
        refused.value.close()
