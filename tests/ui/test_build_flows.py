"""The Build tab in Chromium beyond single edits: undo, two windows, the drawing, the dry pass, recipes, keyboard only."""

import json

import datasets
import pytest
from playwright.sync_api import expect

from tests.ui.conftest import Watch, serving, watched_page
from tests.ui.test_build_page import add, assert_saved, chips, kinds, layer, layers_text, settled, stack_of
from workbench.data import import_file
from workbench.recipe import LossSpec, Recipe, TrainingConfig
from workbench.runs import store
from workbench.runs.database import open_database
from workbench.runs.run import RECIPE_FILE, create_run_id, run_folder
from workbench.settings import Settings
from workbench.ui.context import Context
from workbench.ui.draft import Draft, load_draft, save_draft, update_draft
from workbench.ui.pages.build import _Handlers

pytestmark = pytest.mark.browser

STARTS_MS = 300_000
"""Upper bound for what starts the encoder process, which imports torch on a machine that may be busy."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("flows") / "home"


@pytest.fixture(scope="module")
def server(home):
    with serving(Settings(home=home, port=0, needs_token=False)) as running:
        yield running


@pytest.fixture
def clean(home):
    """A draft of its own for each test; the page is opened by the test."""
    save_draft(home, Draft(base="scratch", architecture=stack_of("pooling:mean")))
    return home


def open_build(page, server, query=""):
    page.goto(f"{server.url}/?tab=build{query}")
    expect(page.locator("#build-drawing .wb-towers")).not_to_have_attribute("data-state", "empty")
    settled(page)
    return page


@pytest.fixture
def build(page, server, clean):
    yield open_build(page, server)
    settled(page)


def undo(page):
    return page.locator('[data-act="undo"]')


def redo(page):
    return page.locator('[data-act="redo"]')


# ---------------------------------------------------------------- undo and redo
def test_undo_and_redo_step_through_every_kind_of_edit(build, home):
    expect(undo(build)).to_have_attribute("aria-disabled", "true")
    add(build, "Dense")
    layer(build, 3).get_by_label("Out features").fill("64")
    layer(build, 3).get_by_label("Bias").uncheck()
    add(build, "Normalize")
    layer(build, 4).get_by_role("button", name="Move Normalize up").click()
    layer(build, 4).get_by_role("button", name="Remove Dense").click()
    kinds(build, "Transformer", "Pooling", "Normalize")
    expect(undo(build)).to_have_accessible_name("Undo: Dense removed")
    steps = [
        ["Transformer", "Pooling", "Normalize", "Dense"],
        ["Transformer", "Pooling", "Dense", "Normalize"],
        ["Transformer", "Pooling", "Dense"],
    ]
    for names in steps:
        undo(build).click()
        kinds(build, *names)
    undo(build).click()
    expect(layer(build, 3).get_by_label("Bias")).to_be_checked()
    expect(layer(build, 3).get_by_label("Out features")).to_have_value("64")
    undo(build).click()
    expect(layer(build, 3).get_by_label("Out features")).to_have_value("256")
    chips(build, "tokens × 128", "128", "256")
    undo(build).click()
    kinds(build, "Transformer", "Pooling")
    expect(undo(build)).to_have_attribute("aria-disabled", "true")
    undo(build).press("Enter")
    expect(build.locator(".wb-stack [aria-live]")).to_have_text("Nothing to undo.")
    settled(build)
    assert_saved(home, "pooling:mean")
    for _ in range(6):
        redo(build).click()
    kinds(build, "Transformer", "Pooling", "Normalize")
    expect(redo(build)).to_have_attribute("aria-disabled", "true")
    settled(build)
    assert_saved(home, "pooling:mean,normalize")


def test_keystrokes_in_one_field_are_one_step_and_a_new_edit_ends_redo(build, home):
    add(build, "Dense")
    field = layer(build, 3).get_by_label("Out features")
    field.fill("")
    field.press_sequentially("512")
    expect(undo(build)).to_have_accessible_name("Undo: Dense: Out features changed")
    undo(build).click()
    expect(field).to_have_value("256")
    add(build, "Normalize")
    expect(redo(build)).to_have_attribute("aria-disabled", "true")
    settled(build)
    assert_saved(home, "pooling:mean,dense:256,normalize")


def test_undo_by_keyboard_and_a_text_field_keeps_its_own(build, home):
    add(build, "Dense")
    add(build, "Normalize")
    layer(build, 4).locator(".wb-grip").focus()
    build.keyboard.press("ArrowUp")
    kinds(build, "Transformer", "Pooling", "Normalize", "Dense")
    build.keyboard.press("Control+z")
    kinds(build, "Transformer", "Pooling", "Dense", "Normalize")
    expect(layer(build, 4).locator(".wb-grip")).to_be_focused()
    build.keyboard.press("Control+z")
    kinds(build, "Transformer", "Pooling", "Dense")
    expect(undo(build)).to_be_focused()  # the block that had the focus is gone
    build.keyboard.press("Control+Shift+z")
    kinds(build, "Transformer", "Pooling", "Dense", "Normalize")
    build.keyboard.press("Control+y")
    kinds(build, "Transformer", "Pooling", "Normalize", "Dense")
    layer(build, 4).get_by_label("Out features").focus()
    build.keyboard.press("Control+z")
    kinds(build, "Transformer", "Pooling", "Normalize", "Dense")
    settled(build)
    assert_saved(home, "pooling:mean,normalize,dense:256")


def test_undo_after_a_preset_and_after_another_base_brings_the_old_stack_back(build, home, tiny_bert):
    add(build, "Dense")
    layer(build, 3).get_by_label("Out features").fill("48")
    build.locator("#build-preset-3").click()
    expect(layers_text(build)).to_have_value("--base scratch --layers pooling:cls")
    kinds(build, "Transformer", "Pooling")
    field = build.locator("#build-base input")
    field.fill(str(tiny_bert))
    field.press("Enter")
    chips(build, "tokens × 32", "32")
    settled(build)
    expect(undo(build)).to_have_accessible_name("Undo: the encoder tiny-bert")
    undo(build).click()
    chips(build, "tokens × 128", "128")
    expect(field).to_have_value("scratch (untrained)")
    expect(build.locator("#build-facts")).to_contain_text("untrained")
    expect(build.locator("#flow")).to_contain_text("scratch")
    expect(layers_text(build)).to_have_value("--base scratch --layers pooling:cls")
    expect(undo(build)).to_have_accessible_name("Undo: the preset CLS pooling")
    undo(build).click()
    kinds(build, "Transformer", "Pooling", "Dense")
    chips(build, "tokens × 128", "128", "48")
    settled(build)
    assert_saved(home, "pooling:mean,dense:48")
    redo(build).click()
    redo(build).click()
    chips(build, "tokens × 32", "32")
    settled(build)
    assert load_draft(home).base == str(tiny_bert)


# ---------------------------------------------------------------- two windows
def test_the_last_window_wins_says_so_and_undo_brings_the_other_stack(build, browser, server, home):
    with watched_page(browser, Watch()) as other:
        open_build(other, server)
        add(other, "Normalize")
        settled(other)
        add(build, "Dense")
        expect(build.locator(".wb-clash")).to_contain_text("Another window had saved another stack meanwhile")
        expect(build.locator(".wb-clash code")).to_have_text("--base scratch --layers pooling:mean,normalize")
        settled(build)
        assert_saved(home, "pooling:mean,dense:256")
        undo(build).click()
        kinds(build, "Transformer", "Pooling", "Normalize")
        expect(build.locator(".wb-clash")).to_be_hidden()
        settled(build)
        assert_saved(home, "pooling:mean,normalize")
        redo(build).click()
        kinds(build, "Transformer", "Pooling", "Dense")
        settled(build)
        # Whoever comes back to a window sees what the other has saved.
        other.evaluate("window.dispatchEvent(new Event('focus'))")
        kinds(other, "Transformer", "Pooling", "Dense")
        expect(undo(other)).to_have_accessible_name("Undo: the change made elsewhere")
        settled(other)


def test_one_window_alone_is_never_told_of_another(build, home):
    build.evaluate(
        """() => {
          const press = (selector) => document.querySelector(selector).click();
          for (let i = 0; i < 4; i += 1) press('[data-add=normalize]');
          press('#build-preset-2');
          press('[data-add=dropout]');
        }"""
    )
    kinds(build, "Transformer", "Pooling", "Dense")
    settled(build)
    add(build, "Normalize")
    settled(build)
    expect(build.locator(".wb-clash")).to_be_hidden()
    build.reload()
    add(build, "Normalize")
    settled(build)
    expect(build.locator(".wb-clash")).to_be_hidden()


# ---------------------------------------------------------------- the drawing
def test_the_drawing_follows_the_stack_and_the_data(build, home, tmp_path, sentences):
    towers = build.locator("#build-drawing .wb-towers")
    expect(towers).to_have_attribute("data-towers", "2")
    expect(towers).to_contain_text("No data set is chosen yet, so this is drawn for scored pairs")
    picture = towers.locator("svg")
    expect(picture).to_have_attribute("role", "img")
    add(build, "Dense")
    layer(build, 3).get_by_label("Out features").fill("96")
    expect(picture.get_by_text("96", exact=True)).to_have_count(2)
    expect(picture.get_by_text("96, tanh")).to_have_count(2)
    settled(build)
    assert "Dense (96, tanh) giving 96" in picture.get_attribute("aria-label")
    add(build, "Pooling")
    expect(towers).to_have_attribute("data-state", "broken")
    expect(picture.get_by_text("?", exact=True)).to_have_count(2)
    undo(build).click()
    expect(towers).to_have_attribute("data-state", "ready")
    path = tmp_path / "triplets.csv"
    rows = [",".join(sentences[index : index + 3]) for index in range(0, 180, 3)]
    path.write_text("\n".join(["anchor,positive,negative", *rows]), encoding="utf-8")
    settled(build)
    update_draft(home, data=import_file(path, home).ref)
    build.get_by_role("tab", name="Data", exact=True).click()
    build.get_by_role("tab", name="Build", exact=True).click()
    expect(towers).to_have_attribute("data-towers", "3")
    expect(towers).to_contain_text("MultipleNegativesRankingLoss")
    expect(picture.get_by_text("w", exact=True)).to_have_count(2)  # a vector, and a block of the matrix
    build.set_viewport_size({"width": 390, "height": 844})
    expect(towers).to_have_attribute("data-towers", "3")
    assert build.evaluate("document.documentElement.scrollWidth") <= 390


# ---------------------------------------------------------------- the dry pass
def test_a_dry_pass_of_the_sample_data_and_then_of_ones_own(build, home, pairs_csv):
    dry = build.locator("#build-dry .wb-dry")
    build.evaluate(
        """() => {
          window.states = [];
          const node = document.querySelector('#build-dry .wb-dry');
          new MutationObserver(() => window.states.push(node.innerText)).observe(node, {attributes: true, attributeFilter: ['data-state']});
        }"""
    )
    add(build, "Dense")
    settled(build)
    build.locator("#build-try").click()
    expect(dry).to_have_attribute("data-state", "done", timeout=STARTS_MS)
    assert "Building scratch: Transformer → Pooling → Dense" in build.evaluate("window.states[0]")
    expect(dry).to_contain_text("No data set is chosen, so these are rows")
    expect(dry).to_contain_text("of the sample data")
    expect(dry.get_by_role("row")).to_have_count(1 + 3 + 1 + 3)
    expect(dry.get_by_role("row", name="Dense")).to_contain_text("6 different texts × 256")
    expect(dry.locator(".wb-dry-stale")).to_be_hidden()
    layer(build, 1).get_by_label("Max seq length").fill("4")
    expect(dry.locator(".wb-dry-stale")).to_be_visible()
    settled(build)
    stored = import_file(pairs_csv, home)
    update_draft(home, data=stored.ref)
    build.locator("#build-try").click()
    expect(dry).to_have_attribute("data-worst", "warning", timeout=STARTS_MS)
    expect(dry).to_contain_text("of pairs.csv, the one with the longest text among them")
    expect(dry.locator(".wb-dry-findings")).to_contain_text("cut off after the 4 tokens")
    expect(dry.locator(".wb-dry-stale")).to_be_hidden()
    assert datasets.load_from_disk(str(stored.folder / "rows")).num_rows == stored.rows


def test_a_dry_pass_that_cannot_be_is_one_sentence(build):
    dry = build.locator("#build-dry .wb-dry")
    layer(build, 2).get_by_role("button", name="Remove Pooling").click()
    settled(build)
    build.locator("#build-try").click()
    expect(dry).to_have_attribute("data-state", "error")
    expect(dry).to_contain_text("This stack cannot be built yet.")
    expect(dry).to_contain_text("add a Pooling layer at the end")


# ---------------------------------------------------------------- recipes
def test_the_recipe_and_the_program_follow_the_stack(build, home):
    expect(build.locator("#build-recipe-note")).to_contain_text("No data set is chosen yet")
    build.locator("#build-recipe-json").get_by_role("button", name="As JSON").click()
    build.locator("#build-recipe-program").get_by_role("button", name="As a Python program").click()
    add(build, "Dense")
    layer(build, 3).get_by_label("Out features").fill("72")
    expect(build.locator("#build-recipe")).to_contain_text('"out_features": 72')
    expect(build.locator("#build-program")).to_contain_text("models.Dense(width, 72")
    settled(build)
    with build.expect_download() as download:
        build.locator("#build-recipe").get_by_role("button", name="Download").click()
    saved = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert saved["architecture"] == load_draft(home).architecture.to_list()


def choose(page, path):
    with page.expect_file_chooser() as chooser:
        page.locator("#build-open").click()
    chooser.value.set_files(path)


def test_a_recipe_file_is_opened_and_undo_brings_the_old_layers_back(build, home, tmp_path, pairs_csv):
    stored = import_file(pairs_csv, home)
    recipe = Recipe(
        "scratch", stored.ref, stack_of("pooling:max,dense:40"), LossSpec("CosineSimilarityLoss"), training=TrainingConfig(epochs=9)
    )
    path = tmp_path / "recipe.json"
    path.write_text(recipe.to_json(), encoding="utf-8")
    choose(build, path)
    chips(build, "tokens × 128", "128", "40")
    expect(build.locator("#build-open-note")).to_contain_text("The recipe is open")
    expect(build.locator("#flow")).to_contain_text("CosineSimilarityLoss")
    settled(build)
    assert load_draft(home).to_recipe() == recipe
    build.get_by_role("tab", name="Train", exact=True).click()
    expect(build.locator("#train-epochs input")).to_have_value("9")
    build.get_by_role("tab", name="Build", exact=True).click()
    undo(build).click()
    kinds(build, "Transformer", "Pooling")
    settled(build)
    assert_saved(home, "pooling:mean")
    path.write_text('{"base": "scratch", "shell": "rm"}', encoding="utf-8")
    choose(build, path)
    expect(build.locator("#build-open-note")).to_contain_text("no field `shell`")
    expect(build.locator("#build-open-note")).to_contain_text("Nothing was changed")
    kinds(build, "Transformer", "Pooling")


# ---------------------------------------------------------------- any model as blocks
@pytest.mark.usefixtures("navigates")
def test_a_finished_run_is_opened_as_blocks_and_its_own_layers_come_back(build, home, server, tiny_bert):
    from workbench.models import Dense, Normalize, Pooling, SentenceTransformer, Transformer

    with open_database(home):
        pass  # made before the run's folder: a history that is made after it takes up what it finds there
    run_id = create_run_id()
    folder = run_folder(run_id, home)
    folder.mkdir(parents=True)
    (folder / RECIPE_FILE).write_text(Recipe(base="scratch", data="abc/v1", name="tuned").to_json())
    SentenceTransformer(modules=[Transformer(tiny_bert), Pooling(32), Dense(32, 24), Normalize()], device="cpu").save(
        folder / "model"
    )
    with open_database(home) as connection:
        store.insert(connection, run_id, "tuned", "scratch", "abc/v1", held=True)
        connection.execute("UPDATE runs SET status = 'completed' WHERE run_id = ?", (run_id,))
    choices = dict(_Handlers(Context(server.settings), {})._choices("scratch"))
    assert run_id in choices.values()
    build.reload()
    settled(build)
    build.locator("#build-base input").click()
    build.get_by_role("option", name="Run: tuned").click()
    kinds(build, "Transformer", "Pooling", "Dense", "Normalize")
    chips(build, "tokens × 32", "32", "24", "24")
    expect(build.locator("#build-own")).to_contain_text("pooling:mean,dense:24,normalize")
    settled(build)
    assert load_draft(home).base == run_id
    build.locator("#build-preset-3").click()
    kinds(build, "Transformer", "Pooling")
    build.locator("#build-own").click()
    kinds(build, "Transformer", "Pooling", "Dense", "Normalize")
    settled(build)
    assert_saved(home, "pooling:mean,dense:24,normalize")
    build.locator("#build-try").click()
    expect(build.locator("#build-dry .wb-dry")).to_have_attribute("data-state", "done", timeout=STARTS_MS)
    expect(build.locator("#build-dry").get_by_role("row", name="Normalize")).to_contain_text("6 different texts × 24")


# ---------------------------------------------------------------- keyboard only
def tab_to(page, selector):
    """Press Tab until the focus is there."""
    for _ in range(120):
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}")


def test_from_the_base_to_a_stack_that_was_tried_by_keyboard_alone(build, home, tiny_bert):
    page = build
    tab_to(page, "#build-base input")
    page.keyboard.press("Control+a")
    page.keyboard.type(str(tiny_bert))
    page.keyboard.press("Enter")
    chips(page, "tokens × 32", "32")
    tab_to(page, "#build-preset-2")
    page.keyboard.press("Enter")
    chips(page, "tokens × 32", "32", "256")
    tab_to(page, ".wb-layer[data-kind=dense] [data-param=out_features]")
    page.keyboard.press("Control+a")
    page.keyboard.type("16")
    chips(page, "tokens × 32", "32", "16")
    tab_to(page, "[data-add=layernorm]")
    page.keyboard.press("Enter")
    kinds(page, "Transformer", "Pooling", "Dense", "LayerNorm")
    settled(page)
    page.keyboard.press("Control+z")
    kinds(page, "Transformer", "Pooling", "Dense")
    page.keyboard.press("Control+Shift+z")
    kinds(page, "Transformer", "Pooling", "Dense", "LayerNorm")
    layer(page, 4).locator(".wb-grip").focus()
    page.keyboard.press("ArrowUp")
    kinds(page, "Transformer", "Pooling", "LayerNorm", "Dense")
    tab_to(page, "#build-try")
    page.keyboard.press("Enter")
    expect(page.locator("#build-dry .wb-dry")).to_have_attribute("data-state", "done", timeout=STARTS_MS)
    assert_saved(home, "pooling:mean,layernorm,dense:16")
