"""The Playground tab in Chromium: every view with two tiny models, links, and what is said while it takes."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.finished import scored_run
from tests.ui.conftest import Watch, serving, watched_page
from workbench.playground import ExampleSet, save_examples
from workbench.runs import delete_run
from workbench.settings import Settings

pytestmark = pytest.mark.browser

LONG = 600_000
"""For what waits on the encoder process: it imports torch, on a machine that may be busy."""

TEXTS = ["please check my router", "please repair my router", "pay the <b>invoice</b>", "cancel my contract", "reset the password"]


@pytest.fixture(scope="module")
def home(tmp_path_factory, tiny_bert):
    """A home with two models: averaged word vectors, and the same behind a Dense layer."""
    from torch import manual_seed, nn

    from workbench import SentenceTransformer, models

    folder = tmp_path_factory.mktemp("playground") / "home"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "averaged").symlink_to(tiny_bert)
    manual_seed(3)
    encoder = models.Transformer(str(tiny_bert))
    layers = [encoder, models.Pooling(32), models.Dense(32, 16, activation_function=nn.Tanh())]
    SentenceTransformer(modules=layers, device="cpu").save(folder / "models" / "squeezed")
    return folder


@pytest.fixture(scope="module")
def server(home):
    with serving(Settings(home=home, port=0, needs_token=False)) as running:
        yield running


@pytest.fixture(scope="module")
def opened(browser, server):
    """One page for all tests that leave the models alone: the first question takes longer than all others together."""
    with watched_page(browser, Watch()) as page:
        page.goto(f"{server.url}/?tab=playground")
        expect(page.locator("#playground-first input")).not_to_have_value("")
        choose(page, "second", "squeezed")
        choose(page, "first", "averaged")
        yield page


@pytest.fixture
def play(opened):
    opened.set_viewport_size({"width": 1280, "height": 900})
    go_to(opened, "All pairs")
    if opened.locator("#playground-type").is_visible():
        opened.locator("#playground-type").click()
    expect(opened.locator("#playground-texts")).to_be_visible()
    texts = opened.locator("#playground-texts textarea")
    if texts.input_value() != "\n".join(TEXTS):
        texts.fill("\n".join(TEXTS))
    return opened


def choose(page, which, model):
    page.locator(f"#playground-{which} input").click()
    page.get_by_role("option", name=model, exact=True).click()
    expect(page.locator(f"#playground-{which} input")).to_have_value(model)
    expect(page.get_by_role("option")).to_have_count(0)  # the list fades out, and the other one has the same names


def go_to(page, view):
    page.locator("#playground-view").get_by_text(view, exact=True).click()
    button = {"All pairs": "compare", "One pair": "pair-compare", "Search": "search", "Map": "draw", "Size": "measure"}[view]
    expect(page.locator(f"#playground-{button}")).to_be_visible()


def note(page):
    return page.locator("#playground-note .wb-notice")


def ready(page, name):
    expect(page.locator(f"#playground-{name} .wb-look")).to_have_attribute("data-state", "ready", timeout=LONG)
    return page.locator(f"#playground-{name} .wb-look")


def search(page, query):
    page.locator("#playground-query textarea").fill(query)
    page.locator("#playground-search").click()
    expect(page.locator("#playground-results .wb-look")).to_have_attribute("data-query", query, timeout=LONG)
    return page.locator("#playground-results .wb-look")


def test_every_view_says_what_it_is_for(play):
    for view, name in (("One pair", "reading"), ("Search", "results"), ("Map", "map"), ("Size", "sizes")):
        go_to(play, view)
        expect(play.locator(f"#playground-{name} .wb-teach h3")).to_be_visible()
        expect(play.locator("#playground-compare")).to_be_hidden()
    expect(play.locator("#playground-texts")).to_be_visible()
    go_to(play, "One pair")
    expect(play.locator("#playground-texts")).to_be_hidden()


def test_a_pair_gets_two_cosines_and_its_words(play):
    go_to(play, "One pair")
    play.locator("#playground-pair-first textarea").fill("please check my router")
    play.locator("#playground-pair-second textarea").fill("please <i>repair</i> my router")
    play.locator("#playground-pair-compare").click()
    reading = ready(play, "reading")
    expect(reading.locator("h3")).to_have_text(["averaged", "squeezed"])
    first, second = (reading.locator("article").nth(place) for place in (0, 1))
    expect(first).to_contain_text("Exact: this model averages its word vectors")
    expect(second).to_contain_text("By leaving out (occlusion)")
    expect(first).to_contain_text("The threshold is not known")
    words = first.locator(".wb-words").first.locator(".wb-word-text")
    expect(words).to_have_text(["[CLS]", "please", "check", "my", "router", "[SEP]"])
    cosine = float(first.locator(".wb-cosine-value").inner_text().replace("−", "-"))
    scores = first.locator(".wb-words").first.locator(".wb-word-score").all_inner_texts()
    total = sum(float(score.replace("−", "-")) for score in scores)
    assert total == pytest.approx(cosine, abs=0.005 * len(scores) + 0.001), "the words of an averaging model add up to its cosine"
    assert reading.locator("i").count() == 0, "a text is never markup"


def test_an_empty_text_is_said_in_words(play):
    go_to(play, "One pair")
    play.locator("#playground-pair-first textarea").fill(" ")
    play.locator("#playground-pair-compare").click()
    expect(note(play)).to_contain_text("Type two texts to compare")
    expect(note(play)).to_have_attribute("data-tone", "warning")


def test_a_cell_of_the_heatmap_leads_to_the_pair(play):
    play.locator("#playground-compare").click()
    heatmaps = play.locator("#playground-heatmaps .wb-heatmaps")
    expect(heatmaps).to_have_attribute("data-state", "ready", timeout=LONG)
    expect(heatmaps.locator(".js-plotly-plot")).to_have_count(2)
    heatmaps.scroll_into_view_if_needed()
    heatmaps.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    box = heatmaps.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    play.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.1)
    expect(heatmaps.locator(".wb-pair")).to_contain_text("please check my router")
    expect(heatmaps.locator(".wb-pair")).to_contain_text("<b>invoice</b>")
    expect(play.locator("#playground-pairs")).to_contain_text("please repair my router")
    play.get_by_role("button", name="Read this pair word by word").click()
    expect(play.locator("#playground-pair-second textarea")).to_have_value("pay the <b>invoice</b>")
    reading = play.locator("#playground-reading .wb-look")
    expect(reading).to_contain_text("invoice", timeout=LONG)


def test_search_ranks_with_both_models_and_follows_a_result(play):
    go_to(play, "Search")
    results = search(play, "repair the router")
    expect(results.locator("article")).to_have_count(2)
    for side in (0, 1):
        expect(results.locator("article").nth(side).locator(".wb-hit")).to_have_count(len(TEXTS))
    badges = results.locator("article").first.locator(".wb-change").all_inner_texts()
    assert len(badges) == len(TEXTS)
    assert all(re.fullmatch(r"(▲ up|▼ down) \d+|= same", badge) for badge in badges)
    changes = [int(re.sub(r"[^\d]", "", badge) or 0) * (-1 if "down" in badge else 1) for badge in badges]
    texts = [results.locator("article").nth(side).locator(".wb-hit-text").all_inner_texts() for side in (0, 1)]
    assert changes == [texts[1].index(text) - place for place, text in enumerate(texts[0])]

    again = search(play, "the password")
    expect(again.locator("article").first).to_contain_text("5 texts encoded before, searched in")
    target = again.locator(".wb-hit-text").filter(has_text="cancel my contract").first
    target.click()
    expect(again).to_have_attribute("data-query", "cancel my contract", timeout=LONG)
    expect(play.locator("#playground-query textarea")).to_have_value("cancel my contract")
    expect(again).to_contain_text("The text itself is left out")
    expect(again.locator("article").first.locator(".wb-hit")).to_have_count(len(TEXTS) - 1)


def test_few_results_name_what_the_other_model_has_elsewhere(play):
    go_to(play, "Search")
    play.locator("#playground-k input").fill("1")
    results = search(play, "router")
    expect(results.locator("article").first.locator(".wb-hit")).to_have_count(1)
    first, second = (results.locator("article").nth(side) for side in (0, 1))
    same = first.locator(".wb-hit-text").inner_text() == second.locator(".wb-hit-text").inner_text()
    expect(first.locator(".wb-change")).to_have_text("= same" if same else re.compile(r"new \(other: \d\.\)"))
    play.locator("#playground-k input").fill("10")


def test_a_column_of_a_file_is_searched_and_drawn_by_label(play, tmp_path):
    path = tmp_path / "mails.csv"
    rows = [
        f"{i},{'bill' if i % 2 else 'repair'},please {'pay my invoice' if i % 2 else 'repair my router'} {i}" for i in range(12)
    ]
    path.write_text("\n".join(["id,topic,text", *rows]) + "\n")
    go_to(play, "Map")
    play.locator("#playground-file input[type=file]").set_input_files(path)
    expect(play.locator("#playground-source-note .wb-notice")).to_contain_text(
        "12 different texts from mails.csv, column text, with 2"
    )
    expect(play.locator("#playground-preview textarea")).to_have_value(re.compile("please repair my router 0"))
    play.locator("#playground-draw").click()
    drawn = ready(play, "map")
    expect(drawn).to_have_attribute("data-points", "12")
    expect(drawn.locator(".js-plotly-plot")).to_have_count(2)
    expect(drawn.locator(".legendtext").first).to_have_text("repair")
    assert "Turned to lie like the first map" in drawn.inner_text()
    drawn.get_by_label("Show a text on the map").select_option("please pay my invoice 3")
    expect(drawn.locator(".wb-picked")).to_contain_text("please pay my invoice 3 (bill)")
    drawn.get_by_role("button", name="Search for texts like this").click()
    expect(play.locator("#playground-results .wb-look")).to_have_attribute("data-query", "please pay my invoice 3", timeout=LONG)
    expect(play.locator("#playground-results article").first.locator(".wb-hit")).to_have_count(10)
    play.locator("#playground-column input").click()
    play.get_by_role("option", name="topic", exact=True).click()
    expect(play.locator("#playground-source-note .wb-notice")).to_contain_text("2 different texts from mails.csv, column topic")


def test_sizes_follow_the_slider(play):
    go_to(play, "Size")
    play.locator("#playground-measure").click()
    sizes = ready(play, "sizes")
    first, second = (sizes.locator("article").nth(side) for side in (0, 1))
    expect(first.locator(".wb-size-line")).to_contain_text("128 bytes a vector")
    expect(second.locator(".wb-size-line")).to_contain_text("64 bytes a vector")
    expect(first.locator("td[data-chosen]")).to_contain_text("1.000 / 100%")
    slider = sizes.get_by_role("slider")
    slider.focus()
    play.keyboard.press("ArrowLeft")
    expect(sizes).to_have_attribute("data-chosen", "1 float32")
    expect(first.locator(".wb-size-line")).to_contain_text(
        "64 bytes a vector instead of 128 (2 times smaller), 64 MB for a million"
    )
    sizes.get_by_label(re.compile("^int8")).check()
    expect(first.locator(".wb-size-line")).to_contain_text("16 bytes a vector instead of 128 (8 times smaller)")
    expect(first.locator("tr").filter(has=play.locator("th", has_text=re.compile("^16$"))).locator("td").nth(1)).to_have_attribute(
        "aria-current", "true"
    )
    sizes.get_by_label(re.compile("^binary")).check()
    expect(slider).to_have_attribute("aria-valuetext", re.compile("16 of 32"))
    expect(first.locator(".wb-size-line")).to_contain_text("2 bytes a vector")


@pytest.fixture
def finished(home, tmp_path, sentences):
    """A run in the history whose model is the squeezed one, started from the averaged one; gone when the test ends."""
    run = scored_run(home, tmp_path, sentences)
    for name, model in (("model", "squeezed"), ("base", "averaged")):
        (run.folder / name).symlink_to((home / "models" / model).resolve())
    yield run
    delete_run(run.run_id, home)


def test_sizes_of_a_run_show_its_metric_on_its_test_rows(play, home, finished):
    from workbench import SentenceTransformer
    from workbench.evaluation import build_evaluator
    from workbench.playground import measure_quality
    from workbench.runs import read_test_part

    part = read_test_part(finished.folder)
    evaluator = build_evaluator(part.kind, part.columns, part.labels)
    expected = {
        side: measure_quality(evaluator, SentenceTransformer(finished.folder / side, device="cpu").encode)
        for side in ("base", "model")
    }
    play.get_by_role("tab", name="Data", exact=True).click()
    play.get_by_role("tab", name="Playground", exact=True).click()
    choose(play, "first", f"Finished ({finished.run_id})")
    choose(play, "second", f"Before Finished ({finished.run_id})")
    play.locator("#playground-texts textarea").fill("")
    go_to(play, "Size")
    play.locator("#playground-measure").click()
    sizes = play.locator("#playground-sizes .wb-look")
    expect(sizes.locator('article[data-measure="quality"]')).to_have_count(2, timeout=LONG)
    for place, side in enumerate(("model", "base")):
        card = sizes.locator("article").nth(place)
        expect(card.locator(".wb-size-source")).to_contain_text("Quality on the 64 test rows of the run “Finished”.")
        first, int8 = (f"{size.value:.3f}".replace("-", "−") for size in expected[side].sizes[:2])
        expect(card.locator("tbody td").first).to_contain_text(first)
        expect(card.locator("tbody td").nth(1)).to_contain_text(re.compile(rf"^{re.escape(int8)} \([+−±]0\.\d{{3}}\)"))
    line = sizes.locator("article").first.locator(".wb-size-line")
    before = finished.verdict["before"]
    expect(line).to_contain_text(f"The base's full vectors have {before:.3f}.")
    play.set_viewport_size({"width": 390, "height": 844})
    table = sizes.locator(".wb-scroll").first
    assert table.evaluate("box => box.scrollWidth <= box.clientWidth"), "all precisions of a size are seen beside each other"
    sizes.get_by_label(re.compile("^binary")).check()
    expect(line).to_contain_text("MB for a million texts. Rank correlation with the scores: ")
    expect(line).to_contain_text(f"against the full vectors' {expected['model'].sizes[0].value:.3f}".replace("-", "−"))
    choose(play, "second", "squeezed")
    play.locator("#playground-texts textarea").fill("\n".join(TEXTS))
    play.locator("#playground-measure").click()
    expect(sizes.locator("article").nth(1)).to_have_attribute("data-measure", "agreement", timeout=LONG)
    expect(sizes.locator("article").nth(1).locator(".wb-size-source")).to_contain_text("this model belongs to no run here")
    choose(play, "first", "averaged")


def test_a_run_and_its_base_are_judged_by_their_own_thresholds(play, home, finished):
    """Colours, marks and the order of the table; and texts that both models read alike are named."""
    evaluations = finished.folder / "evaluations"
    record = json.loads((evaluations / "calibration.json").read_text())
    counts = dict.fromkeys(("true_positives", "false_positives", "false_negatives", "true_negatives"), 1)
    sides = {"tuned": {"value": 0.999, **counts}, "base": {"value": -0.5, **counts}}
    words = {"match": "alike", "no_match": "not", "validation_rows": 9, "test_rows": 9}
    (evaluations / "calibration.json").write_text(json.dumps({**record, "threshold": {**sides, **words}}))
    play.get_by_role("tab", name="Data", exact=True).click()
    play.get_by_role("tab", name="Playground", exact=True).click()
    choose(play, "first", f"Finished ({finished.run_id})")
    choose(play, "second", f"Before Finished ({finished.run_id})")
    long = "please check my router and pay my invoice " * 20
    play.locator("#playground-texts textarea").fill(f"{long}one\n{long}two\n\npay my invoice")
    play.locator("#playground-compare").click()
    heatmaps = heatmaps_of(play)
    expect(heatmaps.locator(".wb-heatmap-groups")).to_have_text(
        ["Right about 3 of 3 pairs", "Right about 1 of 3 pairs"], timeout=LONG
    )
    expect(heatmaps.locator(".wb-heatmap-scale").nth(0)).to_contain_text("this model's own threshold on, a cosine of 1.00")
    expect(heatmaps.locator(".heatmap-label, .heatmaplayer text").first).to_have_text("✓ 1.00")
    expect(heatmaps).to_contain_text("Outlined: texts of one group")
    expect(note(play)).to_contain_text("2 of 3 texts are cut off after the 64 tokens that each of these models reads")
    expect(note(play)).to_contain_text("the texts differ, but not in what each of these models reads of them")
    expect(play.locator("#playground-pairs")).to_contain_text("1. ✓ 1.000")
    play.locator("#playground-texts textarea").fill("\n".join(TEXTS))
    choose(play, "second", "squeezed")
    choose(play, "first", "averaged")


def test_too_few_texts_are_said_in_words(play):
    play.locator("#playground-texts textarea").fill("only one")
    play.locator("#playground-compare").click()
    expect(note(play)).to_contain_text("at least two different texts, one per line; there is 1")
    go_to(play, "Map")
    expect(note(play)).to_be_hidden()


def test_a_link_opens_the_same_examples_elsewhere(play, browser, server):
    go_to(play, "Search")
    search(play, "reset <b>my</b> password")
    play.locator("#playground-k input").fill("3")
    play.locator("#playground-link").click()
    field = play.locator("#playground-link-text input, #playground-link-text textarea")
    expect(field).to_have_value(re.compile(r"tab=playground.*set=[0-9a-f]{16}"))
    expect(play.locator("#playground-link-note .wb-notice")).to_be_visible()
    link = field.input_value()
    expect(play).to_have_url(link)
    with watched_page(browser, Watch(allowed=["Connection errored out"])) as other:
        other.goto(link)
        expect(other.locator("#playground-results .wb-look")).to_have_attribute("data-state", "ready", timeout=LONG)
        expect(other.locator("#playground-query textarea")).to_have_value("reset <b>my</b> password")
        expect(other.locator("#playground-texts textarea")).to_have_value("\n".join(TEXTS))
        expect(other.locator("#playground-first input")).to_have_value("averaged")
        expect(other.locator("#playground-results article").first.locator(".wb-hit")).to_have_count(3)
        mine = play.locator("#playground-results article").first.locator(".wb-hit-text").all_inner_texts()
        theirs = other.locator("#playground-results article").first.locator(".wb-hit-text").all_inner_texts()
        assert theirs == mine[:3]
    play.locator("#playground-k input").fill("10")


def test_a_link_to_nothing_says_so(page, server):
    page.goto(f"{server.url}/?tab=playground&set={'0' * 16}")
    expect(note(page)).to_contain_text("not on this machine")
    expect(page.locator("#playground-first input")).to_have_value("mini (bundled)")
    expect(page.locator("#playground-second input")).to_have_value("averaged")


@pytest.fixture
def page_of_two(page, server):
    """A fresh page with two models chosen, so that what a reload does disturbs no other test."""
    page.goto(f"{server.url}/?tab=playground")
    expect(page.locator("#playground-first input")).not_to_have_value("")
    choose(page, "second", "squeezed")
    choose(page, "first", "averaged")
    page.locator("#playground-texts textarea").fill("\n".join(TEXTS))
    return page


def kept(page):
    """What the browser tab would come back to."""
    return page.evaluate("JSON.parse(sessionStorage.getItem('workbench-playground'))")


def heatmaps_of(page):
    return page.locator("#playground-heatmaps .wb-heatmaps")


@pytest.mark.usefixtures("navigates")
def test_a_reload_comes_back_with_models_texts_view_and_answers(page_of_two):
    page = page_of_two
    page.locator("#playground-compare").click()
    expect(heatmaps_of(page)).to_have_attribute("data-state", "ready", timeout=LONG)
    go_to(page, "Search")
    page.locator("#playground-k input").fill("2")
    search(page, "reset <b>my</b> password")
    page.reload()
    results = page.locator("#playground-results .wb-look")
    expect(results).to_have_attribute("data-query", "reset <b>my</b> password", timeout=LONG)
    expect(results.locator("article").first.locator(".wb-hit")).to_have_count(2)
    expect(page.locator("#playground-first input")).to_have_value("averaged")
    expect(page.locator("#playground-second input")).to_have_value("squeezed")
    expect(page.locator("#playground-texts textarea")).to_have_value("\n".join(TEXTS))
    expect(page.locator("#playground-query textarea")).to_have_value("reset <b>my</b> password")
    go_to(page, "All pairs")
    expect(heatmaps_of(page)).to_have_attribute("data-state", "ready", timeout=LONG)
    expect(heatmaps_of(page).locator(".js-plotly-plot")).to_have_count(2)
    go_to(page, "Map")
    # Once one view has an answer, the others need no press of their own.
    expect(page.locator("#playground-map .wb-look")).to_have_attribute("data-state", "ready", timeout=LONG)
    assert sorted(kept(page)["asked"]) == ["map", "matrix", "search"]
    go_to(page, "All pairs")
    page.locator("#playground-texts textarea").fill("another text\nand one more")
    go_to(page, "Size")
    page.wait_for_timeout(300)
    expect(page.locator("#playground-sizes .wb-look")).to_have_attribute("data-state", "empty")  # no one asked about these texts


@pytest.mark.usefixtures("navigates")
def test_a_reload_elsewhere_keeps_the_playground_and_a_link_wins(page_of_two, server, home):
    page = page_of_two
    page.locator("#playground-sample").click()
    expect(page.locator("#playground-source-note .wb-notice")).to_contain_text("different texts from support_pairs.csv")
    page.locator("#playground-compare").click()
    expect(heatmaps_of(page)).to_have_attribute("data-state", "ready", timeout=LONG)
    page.get_by_role("tab", name="Data", exact=True).click()
    page.reload()
    expect(page.locator("#data-file")).to_be_visible()
    page.wait_for_timeout(300)
    page.get_by_role("tab", name="Playground", exact=True).click()
    expect(heatmaps_of(page)).to_have_attribute("data-state", "ready", timeout=LONG)
    expect(page.locator("#playground-source-note .wb-notice")).to_contain_text("different texts from support_pairs.csv")
    expect(page.locator("#playground-texts")).to_be_hidden()
    page.locator("#playground-type").click()
    expect(page.locator("#playground-texts textarea")).to_have_value("\n".join(TEXTS))
    link = save_examples(ExampleSet("squeezed", "squeezed", texts=("one text", "another")), home)
    page.goto(f"{server.url}/?tab=playground&set={link}")
    expect(page.locator("#playground-texts textarea")).to_have_value("one text\nanother")
    for which in ("first", "second"):
        expect(page.locator(f"#playground-{which} input")).to_have_value("squeezed")
    expect(heatmaps_of(page)).to_have_attribute("data-state", "ready", timeout=LONG)
    expect(heatmaps_of(page).locator(".js-plotly-plot")).to_have_count(1)


@pytest.mark.usefixtures("navigates")
def test_one_model_twice_and_a_typed_one_stay_chosen(page_of_two):
    page = page_of_two
    choose(page, "second", "averaged")
    for there_and_back in ("Data", "Playground"):
        page.get_by_role("tab", name=there_and_back, exact=True).click()
    page.wait_for_load_state("networkidle")
    for which in ("first", "second"):
        expect(page.locator(f"#playground-{which} input")).to_have_value("averaged")
    page.locator("#playground-second input").fill("./no-such-model")
    page.keyboard.press("Enter")
    page.wait_for_function("JSON.parse(sessionStorage.getItem('workbench-playground'))?.second === './no-such-model'")
    page.reload()
    expect(page.locator("#playground-second input")).to_have_value("./no-such-model")
    expect(page.locator("#playground-first input")).to_have_value("averaged")
    page.locator("#playground-compare").click()
    expect(note(page)).to_contain_text("no-such-model", timeout=LONG)


def test_a_narrow_window_needs_no_scrolling_sideways(play):
    play.set_viewport_size({"width": 390, "height": 844})
    for view in ("All pairs", "One pair", "Search", "Map", "Size"):
        go_to(play, view)
        play.wait_for_function("document.documentElement.scrollWidth <= 390")


def test_the_process_starts_with_the_tab_and_says_so(page, server, monkeypatch):
    import threading

    from workbench.playground import EncoderProcess

    go_on = threading.Event()
    monkeypatch.setattr(EncoderProcess, "start", lambda self: go_on.wait(60))
    monkeypatch.setattr(EncoderProcess, "pid", property(lambda self: None))
    page.goto(f"{server.url}/?tab=data")
    page.get_by_role("tab", name="Playground", exact=True).click()
    status = page.locator("#playground-status .wb-notice")
    expect(status).to_contain_text("Starting the process that holds the models")
    go_on.set()
    expect(status).to_be_hidden()
