"""The Build tab in Chromium: every way to change the stack, what it says of widths and mistakes, and what survives."""

import dataclasses
import json
import re
import threading

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Watch, serving, watched_page
from workbench.errors import ModelError
from workbench.models import BaseEntry
from workbench.recipe import ArchitectureSpec, LayerSpec, parse_layers
from workbench.recipe.scratch import SCRATCH_INFO
from workbench.settings import Settings
from workbench.ui.draft import load_draft, update_draft
from workbench.ui.pages.build import PRESETS, command_line, preset_widths

pytestmark = pytest.mark.browser


def stack_of(text):
    return ArchitectureSpec((LayerSpec("transformer"), *parse_layers(text)))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home and one server for all tests of this file; building the page takes longer than a test."""
    return tmp_path_factory.mktemp("build") / "home"


@pytest.fixture(scope="module")
def server(home):
    with serving(Settings(home=home, port=0, needs_token=False)) as running:
        yield running


def settled(page):
    """Wait until Python has answered the last edit."""
    expect(page.locator("#build-stack .wb-stack")).to_have_attribute("data-state", "ready")


@pytest.fixture(scope="module")
def opened(browser, server, home):
    reset(home)
    with watched_page(browser, Watch()) as page:
        page.goto(f"{server.url}/?tab=build")
        yield page


def reset(home):
    """Every test starts from the untrained encoder of width 128, which is always there, and mean pooling."""
    update_draft(home, base="scratch", architecture=stack_of("pooling:mean"))


@pytest.fixture
def build(opened, home):
    """The tab on a page that is shared, for loading it takes longer than a test; it starts from the draft of `reset`."""
    opened.set_viewport_size({"width": 1280, "height": 900})
    # The test before may have left an edit that the page saves only now, and the last one to save wins.
    settled(opened)
    opened.get_by_role("tab", name="Data", exact=True).click()
    reset(home)
    opened.get_by_role("tab", name="Build", exact=True).click()
    expect(layers_text(opened)).to_have_value("--base scratch --layers pooling:mean")
    kinds(opened, "Transformer", "Pooling")
    chips(opened, "tokens × 128", "128")
    settled(opened)
    return opened


@pytest.fixture
def fresh(page, server, home):
    """The tab on a page of its own, for tests that leave more behind than a stack."""
    reset(home)
    page.goto(f"{server.url}/?tab=build")
    kinds(page, "Transformer", "Pooling")
    settled(page)
    yield page
    settled(page)


def layer(page, place):
    """The block at a place; the encoder is 1."""
    return page.locator(f".wb-layer:nth-child({place})")


def kinds(page, *names):
    """Wait until the blocks are these."""
    expect(page.locator(".wb-layer h3")).to_have_text(list(names))


def chips(page, *texts):
    """Wait until the widths behind the blocks are these."""
    expect(page.locator(".wb-layer .wb-chip")).to_have_text(list(texts))


def add(page, title):
    page.get_by_role("button", name=f"Add {title}", exact=True).click()


def layers_text(page):
    return page.locator("#build-layers textarea")


def assert_saved(home, text):
    """The draft on disk holds this stack."""
    assert load_draft(home).architecture.to_text() == text


def test_adding_and_editing_changes_widths_counts_command_line_and_draft(build, home):
    chips(build, "tokens × 128", "128")
    add(build, "Dense")
    kinds(build, "Transformer", "Pooling", "Dense")
    chips(build, "tokens × 128", "128", "256")
    dense = layer(build, 3)
    expect(dense.locator(".wb-count")).to_have_text("33,024 parameters")
    dense.get_by_label("Out features").fill("64")
    dense.get_by_label("Activation function").select_option("relu")
    dense.get_by_label("Bias").uncheck()
    chips(build, "tokens × 128", "128", "64")
    expect(dense.locator(".wb-count")).to_have_text("8,192 parameters")
    layer(build, 2).get_by_role("button", name="max", exact=True).click()
    chips(build, "tokens × 128", "256", "64")
    expect(dense.locator(".wb-count")).to_have_text("16,384 parameters")
    layer(build, 1).get_by_label("Max seq length").fill("32")
    text = "--base scratch --layers pooling:mean+max,dense:64:activation_function=relu:bias=false --max-seq-length 32"
    expect(layers_text(build)).to_have_value(text)
    settled(build)
    draft = load_draft(home)
    assert command_line(draft.base, draft.architecture) == text
    expect(build.locator('[data-total="width"]')).to_have_text("64")
    expect(build.locator('[data-total="bytes"]')).to_have_text("256")
    expect(build.locator('[data-total="num_parameters"]')).to_have_text(f"{1470336 + 16384:,}")


def test_modes_keep_the_order_in_which_they_are_pressed(build):
    pooling = layer(build, 2)
    for mode in ("cls", "mean", "mean"):
        pooling.locator(f'[data-choice="{mode}"]').click()
    chips(build, "tokens × 128", "256")
    expect(layers_text(build)).to_have_value("--base scratch --layers pooling:cls+mean")
    expect(pooling.get_by_role("button", name="cls, part 1")).to_have_attribute("aria-pressed", "true")
    expect(pooling.get_by_role("button", name="mean, part 2")).to_have_attribute("aria-pressed", "true")


def test_blocks_move_by_button_and_the_focus_goes_along(build):
    for title in ("Dense", "Normalize"):
        add(build, title)
    up = layer(build, 4).get_by_role("button", name="Move Normalize up")
    up.click()
    kinds(build, "Transformer", "Pooling", "Normalize", "Dense")
    expect(up).not_to_be_attached()
    expect(layer(build, 3).get_by_role("button", name="Move Normalize up")).to_be_focused()
    expect(build.locator(".wb-stack [aria-live]")).to_have_text("Normalize moved to position 3 of 4.")
    settled(build)
    down = layer(build, 4).get_by_role("button", name="Move Dense down")
    expect(down).to_have_attribute("aria-disabled", "true")
    down.focus()
    build.keyboard.press("Enter")
    kinds(build, "Transformer", "Pooling", "Normalize", "Dense")


def test_blocks_move_by_keyboard_and_the_focus_goes_along(build, home):
    for title in ("Dense", "Dropout"):
        add(build, title)
    layer(build, 4).locator(".wb-grip").focus()
    build.keyboard.press("ArrowUp")
    kinds(build, "Transformer", "Pooling", "Dropout", "Dense")
    expect(layer(build, 3).locator(".wb-grip")).to_be_focused()
    build.keyboard.press("End")
    kinds(build, "Transformer", "Pooling", "Dense", "Dropout")
    expect(layer(build, 4).locator(".wb-grip")).to_be_focused()
    settled(build)
    assert_saved(home, "pooling:mean,dense:256,dropout:0.2")


def middle(locator):
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_block_is_dragged_by_mouse(build, home):
    build.set_viewport_size({"width": 1280, "height": 1600})
    for title in ("Dense", "Normalize", "LayerNorm"):
        add(build, title)
    settled(build)
    x, y = middle(layer(build, 5).locator(".wb-grip"))
    target = layer(build, 3).bounding_box()["y"] + 10
    build.mouse.move(x, y)
    build.mouse.down()
    build.mouse.move(x, target, steps=12)
    expect(build.locator(".wb-dragging h3")).to_have_text("LayerNorm")
    build.mouse.up()
    kinds(build, "Transformer", "Pooling", "LayerNorm", "Dense", "Normalize")
    expect(layer(build, 3).locator(".wb-grip")).to_be_focused()
    expect(build.locator(".wb-dragging")).to_have_count(0)
    settled(build)
    assert_saved(home, "pooling:mean,layernorm,dense:256,normalize")


def test_escape_puts_a_dragged_block_back(build, home):
    build.set_viewport_size({"width": 1280, "height": 1600})
    for title in ("Normalize", "LayerNorm"):
        add(build, title)
    settled(build)
    x, y = middle(layer(build, 4).locator(".wb-grip"))
    build.mouse.move(x, y)
    build.mouse.down()
    build.mouse.move(x, layer(build, 2).bounding_box()["y"], steps=12)
    expect(layer(build, 2).locator("h3")).to_have_text("LayerNorm")
    build.keyboard.press("Escape")
    kinds(build, "Transformer", "Pooling", "Normalize", "LayerNorm")
    build.mouse.up()
    settled(build)
    assert_saved(home, "pooling:mean,normalize,layernorm")


def test_a_block_is_dragged_by_finger_on_a_narrow_screen(build, home):
    build.set_viewport_size({"width": 390, "height": 844})
    for title in ("Normalize", "LayerNorm"):
        add(build, title)
    settled(build)
    grip = layer(build, 4).locator(".wb-grip")
    grip.evaluate("node => node.scrollIntoView({block: 'center'})")
    x, y = middle(grip)
    box = grip.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    scrolled = build.evaluate("window.scrollY")
    target = layer(build, 3).bounding_box()["y"]
    session = build.context.new_cdp_session(build)

    def touch(kind, *points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": point} for point in points]})

    touch("touchStart", y)
    for step in range(1, 9):
        touch("touchMove", y + (target - y) * step / 8)
    touch("touchEnd")
    kinds(build, "Transformer", "Pooling", "LayerNorm", "Normalize")
    assert build.evaluate("window.scrollY") == scrolled, "the finger moves the block, not the page"
    settled(build)
    assert_saved(home, "pooling:mean,layernorm,normalize")


def test_removing_moves_the_focus_to_the_neighbour(build, home):
    for title in ("Dense", "Normalize"):
        add(build, title)
    layer(build, 3).get_by_role("button", name="Remove Dense").click()
    kinds(build, "Transformer", "Pooling", "Normalize")
    expect(layer(build, 3).get_by_role("button", name="Remove Normalize")).to_be_focused()
    build.keyboard.press("Enter")
    expect(layer(build, 2).get_by_role("button", name="Remove Pooling")).to_be_focused()
    settled(build)
    assert_saved(home, "pooling:mean")
    expect(layer(build, 1).locator(".wb-grip, .wb-tool")).to_have_count(0)


def test_an_illegal_stack_says_why_on_the_block(build, home):
    add(build, "Dense")
    add(build, "Pooling")
    problem = layer(build, 4).locator(".wb-card-problem")
    expect(problem).to_contain_text("Pooling takes token vectors, but Dense before it returns a sentence vector")
    expect(layer(build, 4)).to_have_attribute("aria-describedby", problem.get_attribute("id"))
    chips(build, "tokens × 128", "128", "256", "?")
    expect(build.locator('[data-total="width"]')).to_have_text("–")
    expect(build.locator(".wb-stack [aria-live]")).to_contain_text("Pooling takes token vectors")
    settled(build)
    assert_saved(home, "pooling:mean,dense:256,pooling:mean")  # a run must not train another stack than the one on the page
    layer(build, 4).get_by_role("button", name="Remove Pooling").click()
    chips(build, "tokens × 128", "128", "256")
    expect(build.locator(".wb-card-problem:visible")).to_have_count(0)


def test_a_wrong_value_is_marked_and_described_and_not_saved(build, home):
    add(build, "Dense")
    field = layer(build, 3).get_by_label("Out features")
    field.fill("many")
    expect(field).to_have_attribute("aria-invalid", "true")
    first = field.get_attribute("aria-describedby").split()[0]
    expect(build.locator(f"#{first}")).to_contain_text(
        "out_features of Dense must be a whole number from 1 up to 65536, got 'many'."
    )
    expect(field).to_have_value("many")
    expect(build.locator(".wb-end-words")).to_contain_text("It is not saved")
    settled(build)
    assert_saved(home, "pooling:mean,dense:256")
    field.fill("32")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    chips(build, "tokens × 128", "128", "32")


def test_markup_that_somebody_types_stays_text(build, home):
    add(build, "Dense")
    field = layer(build, 3).get_by_label("Out features")
    field.fill("<img src=x onerror=window.hit=1>${window.hit=1}{{7}}")
    expect(layer(build, 3).locator(".wb-field-problem").first).to_contain_text(
        "<img src=x onerror=window.hit=1>${window.hit=1}{{7}}"
    )
    assert build.evaluate("window.hit") is None
    expect(build.locator(".wb-stack img")).to_have_count(0)


def test_fast_clicks_are_all_applied(build, home):
    build.evaluate("for (let i = 0; i < 5; i += 1) document.querySelector('[data-add=normalize]').click()")
    kinds(build, "Transformer", "Pooling", *["Normalize"] * 5)
    settled(build)
    assert_saved(home, "pooling:mean" + ",normalize" * 5)


def test_typing_and_clicking_at_once_loses_nothing(build, home):
    add(build, "Dense")
    layer(build, 3).get_by_label("Out features").fill("99")
    add(build, "Dropout")
    settled(build)
    assert_saved(home, "pooling:mean,dense:99,dropout:0.2")


def test_a_burst_keeps_its_order_in_few_requests(build, home):
    requests = []
    build.on("request", lambda request: requests.append(request.url) if "queue/join" in request.url else None)
    build.evaluate(
        """() => {
          const press = (selector) => document.querySelector(selector).click();
          for (const kind of ["dense", "dropout", "normalize", "layernorm"]) for (let i = 0; i < 5; i += 1) press(`[data-add=${kind}]`);
          for (let i = 0; i < 10; i += 1) press(".wb-layer:nth-child(3) [data-act=remove]");
        }"""
    )
    settled(build)
    assert_saved(home, "pooling:mean" + ",normalize" * 5 + ",layernorm" * 5)
    assert 1 <= len(requests) <= 4


def test_the_draft_survives_a_reload(build, home):
    add(build, "Dense")
    layer(build, 3).get_by_label("Out features").fill("77")
    settled(build)
    build.reload()
    kinds(build, "Transformer", "Pooling", "Dense")
    expect(layer(build, 3).get_by_label("Out features")).to_have_value("77")
    chips(build, "tokens × 128", "128", "77")
    expect(layers_text(build)).to_have_value("--base scratch --layers pooling:mean,dense:77")


def test_presets_replace_the_layers_and_keep_the_encoder(build, home):
    widths = ["Here 128 numbers, as many as the encoder has."] * len(PRESETS)
    widths[1], widths[3] = "Here 128 to 256 numbers: larger.", "Here 128 to 256 numbers: larger."
    layer(build, 1).get_by_label("Max seq length").fill("64")
    add(build, "Dropout")
    for number, preset in enumerate(PRESETS, 1):
        before = build.locator(".wb-stack").get_attribute("data-epoch")
        button = build.locator(f"#build-preset-{number}")
        expect(button).to_have_accessible_name(preset.title)
        expect(button).to_have_accessible_description(f"{preset.help} {widths[number - 1]}")
        button.click()
        expect(layers_text(build)).to_have_value(f"{command_line('scratch', stack_of(preset.layers))} --max-seq-length 64")
        expect(build.locator(".wb-stack")).not_to_have_attribute("data-epoch", before)
    kinds(build, "Transformer", "Pooling", "Normalize")
    settled(build)
    assert_saved(home, PRESETS[-1].layers)


def test_what_is_pressed_last_stays_however_quickly(build, home):
    for others, last in (((1, 4), 2), ((4, 1), 3), ((2, 3), 5), ((6, 5), 1)):
        build.evaluate(
            """([others, last]) => {
              const press = (number) => document.querySelector(`#build-preset-${number}`).click();
              for (let round = 0; round < 3; round += 1) {
                for (const other of others) {
                  document.querySelector('[data-add=dropout]').click();
                  press(other);
                }
              }
              document.querySelector('[data-add=dropout]').click();
              press(last);
            }""",
            [others, last],
        )
        stack = stack_of(PRESETS[last - 1].layers)
        # Only the last press leads here, so nothing that is still on its way may change it.
        expect(layers_text(build)).to_have_value(command_line("scratch", stack))
        kinds(build, *(layer.entry.title for layer in stack.layers))
        settled(build)
        assert_saved(home, stack.to_text())


def test_a_preset_wins_over_an_edit_that_is_still_on_its_way(build, home):
    build.evaluate(
        """() => {
          document.querySelector('[data-add=dropout]').click();
          document.querySelector('#build-preset-3').click();
        }"""
    )
    kinds(build, "Transformer", "Pooling")
    settled(build)
    expect(layers_text(build)).to_have_value("--base scratch --layers pooling:cls")
    assert_saved(home, "pooling:cls")


def test_another_base_brings_its_own_layers(build, home, tiny_sentence_folder):
    field = build.locator("#build-base input")
    field.fill(str(tiny_sentence_folder))
    field.press("Enter")
    chips(build, "tokens × 32", "32", "16")
    kinds(build, "Transformer", "Pooling", "Dense")
    expect(build.locator("#build-facts")).to_contain_text("token vectors of 32")
    expect(build.locator("#build-facts")).to_contain_text("its own layers: pooling:cls,dense:16")
    expect(layer(build, 1).locator(".wb-count")).to_have_text("number of parameters unknown")
    settled(build)
    assert load_draft(home).base == str(tiny_sentence_folder)
    assert_saved(home, "pooling:cls,dense:16")
    expect(build.locator("#flow")).to_contain_text(tiny_sentence_folder.name)
    field.click()
    build.get_by_role("option", name=re.compile("scratch")).click()
    chips(build, "tokens × 128", "128")
    expect(build.locator("#build-facts")).to_contain_text("untrained")


def test_a_base_that_is_not_there_is_explained_and_changes_nothing(fresh, home):
    field = fresh.locator("#build-base input")
    field.fill("/nowhere/at all")
    field.press("Enter")
    expect(fresh.locator("#build-facts")).to_contain_text("There is no base model '/nowhere/at all'")
    expect(fresh.locator("#build-facts")).to_contain_text("The layers still belong to scratch")
    kinds(fresh, "Transformer", "Pooling")
    assert load_draft(home).base == "scratch"
    expect(field).to_have_value(re.compile("scratch"))
    add(fresh, "Normalize")
    settled(fresh)
    expect(fresh.locator("#build-facts")).to_contain_text("untrained")


def test_a_base_that_goes_away_is_no_longer_ready_and_one_that_comes_is_offered(fresh, home, tiny_sentence_folder):
    field = fresh.locator("#build-base input")
    field.fill(str(tiny_sentence_folder))
    field.press("Enter")
    encoder = fresh.locator('#flow button[data-tab="build"]')
    expect(encoder).to_contain_text(tiny_sentence_folder.name)
    expect(encoder).to_have_attribute("data-state", "ready")
    settled(fresh)
    (home / "models").mkdir(exist_ok=True)
    tiny_sentence_folder.rename(home / "models" / "moved-here")
    fresh.get_by_role("tab", name="Data", exact=True).click()
    fresh.get_by_role("tab", name="Build", exact=True).click()
    expect(encoder).to_have_attribute("data-state", "problem")
    expect(fresh.locator("#build-facts")).to_contain_text("There is no base model")
    field.click()
    fresh.get_by_role("option", name=re.compile("moved-here")).click()
    expect(encoder).to_have_attribute("data-state", "ready")
    settled(fresh)


def test_without_a_network_the_search_says_so_in_one_sentence(fresh):
    fresh.get_by_role("button", name="Search the Hub").click()
    fresh.get_by_label("Words of a model name").fill("no such encoder anywhere")
    fresh.locator("#build-hub-search").click()
    expect(fresh.locator("#build-hub-note")).to_contain_text("The Hub cannot be reached")


def test_what_the_search_finds_can_be_picked(fresh, home, tiny_sentence_folder, monkeypatch):
    asked = []

    def search(query):
        asked.append(query)
        return [BaseEntry(str(tiny_sentence_folder), "tiny", "12 downloads a month.", "folder", True)]

    monkeypatch.setattr("workbench.models.search_hub", search)
    fresh.get_by_role("button", name="Search the Hub").click()
    fresh.locator("#build-hub-search").click()
    expect(fresh.locator("#build-hub-note")).to_contain_text("Type a part of a model's name first")
    fresh.get_by_label("Words of a model name").fill("  tiny ")
    fresh.get_by_label("Words of a model name").press("Enter")
    fresh.get_by_role("radio", name="12 downloads a month").check()
    chips(fresh, "tokens × 32", "32", "16")
    assert asked == ["tiny"]
    settled(fresh)
    assert load_draft(home).base == str(tiny_sentence_folder)
    expect(fresh.locator("#build-base input")).to_have_value(str(tiny_sentence_folder))


def test_what_another_tab_changed_is_shown_on_return(build, home):
    add(build, "Dense")
    settled(build)
    epoch = build.locator(".wb-stack").get_attribute("data-epoch")
    tab = build.get_by_role("tab", name="Data", exact=True)
    tab.click()
    with build.expect_response(lambda response: "queue/data" in response.url):
        build.get_by_role("tab", name="Build", exact=True).click()
    settled(build)
    expect(build.locator(".wb-stack")).to_have_attribute("data-epoch", epoch)
    tab.click()
    update_draft(home, architecture=stack_of("pooling:max,normalize"))
    build.get_by_role("tab", name="Build", exact=True).click()
    kinds(build, "Transformer", "Pooling", "Normalize")
    expect(build.locator(".wb-stack")).not_to_have_attribute("data-epoch", epoch)


def test_a_lost_answer_is_asked_for_again(fresh, home):
    """The request seems to go through, but no answer ever comes."""
    fresh.clock.install()
    fresh.route("**/queue/join*", lambda route: route.fulfill(json={"event_id": "lost"}))
    with fresh.expect_response("**/queue/join*"):
        add(fresh, "Normalize")
    expect(fresh.locator(".wb-stack")).to_have_attribute("data-state", "saving")
    fresh.unroute("**/queue/join*")
    fresh.clock.fast_forward(7000)
    fresh.clock.resume()
    settled(fresh)
    assert_saved(home, "pooling:mean,normalize")


def test_a_base_that_takes_long_is_looked_for_once(fresh, home, monkeypatch):
    """The Hub may take longer to say no than the page waits for an answer; and the first answer may get lost."""
    asked, told = [], threading.Event()

    def describe(name, home):
        asked.append(name)
        told.wait(30)
        raise ModelError(f"The Hub has no model {name}.", field="base")

    monkeypatch.setattr("workbench.models.describe_base", describe)
    fresh.clock.install()
    field = fresh.locator("#build-base input")
    field.fill("slow/model")
    field.press("Enter")
    expect(fresh.locator(".wb-stack")).to_have_attribute("data-state", "saving")
    for _ in range(3):
        fresh.clock.fast_forward(7000)
    told.set()
    fresh.clock.resume()
    expect(fresh.locator("#build-facts")).to_contain_text("The Hub has no model slow/model. The layers still belong to scratch.")
    settled(fresh)
    assert asked == ["slow/model"]
    add(fresh, "Normalize")
    settled(fresh)
    assert_saved(home, "pooling:mean,normalize")


def test_an_edit_made_while_the_server_was_away_survives_the_reload(fresh, home, watch):
    """Gradio reloads the page by itself once the server is back."""
    watch.allowed += ["Failed to load resource", "Failed to fetch", "Connection errored out"]
    fresh.route("**/queue/join*", lambda route: route.abort())
    fresh.evaluate("window.before = true")
    add(fresh, "Normalize")
    fresh.wait_for_function("window.before === undefined")
    fresh.unroute("**/queue/join*")
    fresh.reload()
    kinds(fresh, "Transformer", "Pooling", "Normalize")
    settled(fresh)
    assert_saved(home, "pooling:mean,normalize")


def test_the_palette_stays_in_sight_while_a_long_stack_is_scrolled(build):
    for _ in range(4):
        add(build, "Dense")
    settled(build)
    layer(build, 6).scroll_into_view_if_needed()
    expect(build.get_by_role("button", name="Add LayerNorm", exact=True)).to_be_in_viewport()


def test_touch_targets_and_width_on_a_narrow_screen(build):
    build.set_viewport_size({"width": 390, "height": 844})
    add(build, "Dense")
    settled(build)
    assert build.evaluate("document.documentElement.scrollWidth") <= 390
    small = build.evaluate(
        """() => [...document.querySelectorAll('#build-stack :is(button, select, label.wb-check, input[type=text])')]
          .map((node) => [node.className || node.id, node.getBoundingClientRect()])
          .filter(([, box]) => box.height < 44 || box.width < 44).map(([name]) => name)"""
    )
    assert small == []


@pytest.fixture
def tiny_sentence_folder(tmp_path):
    """An encoder of width 32, as far as the page looks at it, whose folder goes on with CLS pooling and a Dense layer of width 16."""
    folder = tmp_path / "tiny-sentence"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
    ]
    configs = {
        "modules.json": modules,
        "config.json": {"model_type": "bert", "hidden_size": 32, "vocab_size": 300, "max_position_embeddings": 64},
        "1_Pooling/config.json": {
            "word_embedding_dimension": 32,
            "pooling_mode_cls_token": True,
            "pooling_mode_mean_tokens": False,
        },
        "2_Dense/config.json": {
            "in_features": 32,
            "out_features": 16,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        },
    }
    for name, data in configs.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(data), encoding="utf-8")
    return folder


def test_what_a_preset_makes_of_a_width_is_computed():
    widths = {width: preset_widths(dataclasses.replace(SCRATCH_INFO, width=width)) for width in (144, 384)}
    assert widths[144][1] == "Here 144 to 256 numbers: larger."
    assert widths[384][1] == "Here 384 to 256 numbers: smaller."
    assert widths[384][3] == "Here 384 to 768 numbers: larger."
    assert preset_widths(None) == []
