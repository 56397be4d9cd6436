"""What our components take for granted of `gr.HTML`, one test a feature, so that an upgrade of Gradio fails here first."""

import gradio as gr
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

SCRIPT = """
const box = element.querySelector(".box");
box.dataset.born = String(Math.random());
element.querySelector(".send").addEventListener("click", () => {
  props.value = { epoch: 0, text: element.querySelector("input").value };
  trigger("edit");
});
const seen = { value: 0, ack: 0 };
watch(["value", "ack"], () => {
  if (props.ack && props.ack.rev !== seen.ack) { seen.ack = props.ack.rev; element.querySelector(".ack").textContent = props.ack.echo; }
  if (props.value && props.value.epoch > seen.value) { seen.value = props.value.epoch; element.querySelector(".loaded").textContent = props.value.text; }
});
element.querySelector(".own").textContent = props.words;
"""
TEMPLATE = """<div class="box"><input><button class="send">Send</button><p class="ack"></p><p class="loaded"></p><p class="own"></p></div>"""


@pytest.fixture(scope="module")
def url():
    revs = iter(range(1, 100))
    with gr.Blocks(analytics_enabled=False) as blocks:
        html = gr.HTML(
            value=None,
            html_template=TEMPLATE,
            css_template=".ack { letter-spacing: 3px; } @media (min-width: 1px) { .loaded { letter-spacing: 4px; } }",
            js_on_load=SCRIPT,
            apply_default_css=False,
            words="<b>from</b> ${Python} {{1}}",
            ack=None,
        )
        got = gr.Textbox(label="got")
        load = gr.Button("Load")

        def on_edit(value):
            return gr.HTML(ack={"rev": next(revs), "echo": value["text"]}), value["text"]

        html.edit(on_edit, [html], [html, got], trigger_mode="multiple", show_progress="hidden", api_visibility="private")
        load.click(lambda: gr.HTML(value={"epoch": next(revs), "text": "loaded"}), None, [html], api_visibility="private")
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, footer_links=[])
    yield address.rstrip("/")
    blocks.close()


@pytest.fixture
def html(page, url):
    page.goto(url)
    page.locator(".box[data-born]").wait_for()
    return page


def send(page, text):
    page.locator(".box input").fill(text)
    page.locator(".send").click()


def test_an_event_named_in_the_script_reaches_python_with_the_value_set_before_it(html):
    send(html, "hello")
    expect(html.get_by_label("got")).to_have_value("hello")


def test_a_property_python_returns_reaches_the_watch_and_leaves_value_and_nodes_alone(html):
    born = html.locator(".box").get_attribute("data-born")
    send(html, "one")
    expect(html.locator(".ack")).to_have_text("one")
    send(html, "one")
    send(html, "two")
    expect(html.locator(".ack")).to_have_text("two")
    expect(html.locator(".box input")).to_have_value("two")
    assert html.locator(".box").get_attribute("data-born") == born
    expect(html.locator(".loaded")).to_have_text("")


def test_a_value_python_returns_reaches_the_watch_after_the_script_set_its_own(html):
    send(html, "mine")
    expect(html.locator(".ack")).to_have_text("mine")
    html.get_by_role("button", name="Load").click()
    expect(html.locator(".loaded")).to_have_text("loaded")


def test_a_property_given_at_the_start_is_data_and_not_markup(html):
    expect(html.locator(".own")).to_have_text("<b>from</b> ${Python} {{1}}")


def test_the_style_sheet_applies_with_its_media_rules(html):
    expect(html.locator(".ack")).to_have_css("letter-spacing", "3px")
    expect(html.locator(".loaded")).to_have_css("letter-spacing", "4px")
