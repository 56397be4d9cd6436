import json
import math

import pytest

from workbench.errors import InputError
from workbench.runs import read_live, read_series, read_watch, store
from workbench.runs.live import MAXIMUM_MATRICES, MAXIMUM_POINTS, downsample, read_log, read_points, smooth
from workbench.runs.process import this_process
from workbench.runs.run import LOG_FILE, METRICS_FILE, RECIPE_FILE, WATCH_FILE, run_folder


def line(step, kind="train", **values):
    return json.dumps({"type": kind, "step": step, "loss": 1 / (step + 1), **values}).encode() + b"\n"


@pytest.fixture
def metrics(home, add_run):
    run_id = add_run()
    return run_id, run_folder(run_id, home) / METRICS_FILE


def steps(live):
    return [point["step"] for point in live["points"]]


def test_each_point_comes_once(metrics, home):
    run_id, path = metrics
    assert read_live(run_id, home)["points"] == []
    path.write_bytes(line(1) + line(2))
    first = read_live(run_id, home)
    assert steps(first) == [1, 2]
    assert steps(read_live(run_id, home, first["cursor"])) == []
    with path.open("ab") as file:
        file.write(line(3))
    second = read_live(run_id, home, first["cursor"])
    assert steps(second) == [3]
    assert steps(read_live(run_id, home, second["cursor"])) == []
    assert steps(read_live(run_id, home)) == [1, 2, 3]


def test_a_half_written_last_line_is_left_for_the_next_time(metrics, home):
    run_id, path = metrics
    whole = line(2, note="größer")
    for cut in range(1, len(whole)):
        path.write_bytes(line(1) + whole[:cut])
        live = read_live(run_id, home)
        assert steps(live) == [1]
        path.write_bytes(line(1) + whole)
        assert steps(read_live(run_id, home, live["cursor"])) == [2]


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "999999", "9" * 40, "²", "3", " 0"])
def test_a_cursor_that_is_none_starts_at_the_beginning(cursor, metrics, home):
    run_id, path = metrics
    path.write_bytes(line(1) + line(2))
    assert steps(read_live(run_id, home, cursor)) == [1, 2]


def test_a_line_that_a_power_cut_left_is_skipped(metrics, home):
    run_id, path = metrics
    path.write_bytes(line(1) + b'{"type": "train", "st\n' + b"\x00\xff\n" + b"[1]\n" + line(2))
    assert steps(read_live(run_id, home)) == [1, 2]


def test_what_is_no_number_arrives_as_null(metrics, home):
    run_id, path = metrics
    path.write_bytes(b'{"type": "train", "step": 1, "loss": NaN, "grad_norm": Infinity}\n')
    (point,) = read_live(run_id, home)["points"]
    assert point["loss"] is None and point["grad_norm"] is None
    json.dumps(point, allow_nan=False)


def test_a_long_curve_is_thinned_and_keeps_its_peaks(metrics, home):
    run_id, path = metrics
    values = [math.sin(step / 50) for step in range(20_000)]
    values[12_345], values[6_789] = 9.0, -9.0
    with path.open("wb") as file:
        for step, value in enumerate(values):
            file.write(line(step, loss=value))
            if step % 1000 == 0:
                file.write(line(step, "evaluation", value=step / 20_000))
    live = read_live(run_id, home)
    assert len(live["points"]) <= MAXIMUM_POINTS
    assert [point["step"] for point in live["points"] if point["type"] == "evaluation"] == list(range(0, 20_000, 1000))
    train = [point for point in live["points"] if point["type"] == "train"]
    assert {0, 6_789, 12_345, 19_999} <= {point["step"] for point in train}
    assert live["cursor"] == str(path.stat().st_size)
    series = read_series([run_id], home, maximum=100)[run_id]
    assert len(series["train"]) <= 100 and len(series["evaluation"]) == 20
    assert {0, 6_789, 12_345, 19_999} <= {point["step"] for point in series["train"]}


def test_downsampling_keeps_order_and_bounds():
    points = [{"step": step, "loss": None if step == 70 else float(step % 13)} for step in range(101)]
    for maximum in range(1, 120):
        kept = [point["step"] for point in downsample(points, maximum, "loss")]
        assert len(kept) <= maximum
        assert kept == sorted(set(kept))
        assert kept[0] == 0 and (maximum == 1 or kept[-1] == 100)
        if maximum >= 4:
            assert 70 in kept
    assert downsample([], 10, "loss") == []


def test_peaks_of_several_values_are_kept():
    points = [{"step": step, "loss": 1.0, "grad_norm": 1.0} for step in range(1000)]
    points[400]["loss"], points[700]["grad_norm"] = 9.0, 50.0
    kept = [point["step"] for point in downsample(points, 50, "loss", "grad_norm")]
    assert {0, 400, 700, 999} <= set(kept) and len(kept) <= 50


def test_a_curve_is_smoothed_before_it_is_thinned(metrics, home):
    run_id, path = metrics
    with path.open("wb") as file:
        for step in range(10_000):  # nine of ten losses are low: the middle between lows and highs is not their mean
            file.write(line(step, loss=10.0 if step % 10 == 0 else 0.0))
    points = read_live(run_id, home)["points"]
    assert len(points) <= MAXIMUM_POINTS
    assert sum(point["smooth"] for point in points[500:]) / len(points[500:]) == pytest.approx(1.0, abs=0.4)


def test_smoothing_starts_with_the_first_loss_and_passes_over_gaps():
    found = [point["smooth"] for point in smooth([{"loss": 4.0}, {"loss": None}, {"loss": 4.0}, {"loss": 17.0}])]
    assert found == [4.0, 4.0, 4.0, 5.0]


def test_the_watch_list_comes_once_with_its_sentences(metrics, home):
    run_id, _ = metrics
    path = run_folder(run_id, home) / WATCH_FILE
    assert read_live(run_id, home)["watch"] == 0
    assert read_watch(run_id, home) == {"texts": [], "points": [], "cursor": "0"}
    recipe = run_folder(run_id, home) / RECIPE_FILE
    recipe.write_text(json.dumps({**json.loads(recipe.read_text()), "watch": ["a <b>", "b"]}))
    path.parent.mkdir()
    path.write_bytes(b'{"step": 0, "matrix": [[1, 0.5], [0.5, 1]]}\n')
    assert read_live(run_id, home)["watch"] == path.stat().st_size
    first = read_watch(run_id, home)
    assert first["texts"] == ["a <b>", "b"]
    assert [point["step"] for point in first["points"]] == [0]
    with path.open("ab") as file:
        file.write(b'{"step": 5, "matrix": [[1, 0.6], [0.6, 1]]}\n{"step": 9, "matr')
    assert [point["step"] for point in read_watch(run_id, home, first["cursor"])["points"]] == [5]
    path.write_bytes(b"".join(b'{"step": %d, "matrix": [[1]]}\n' % step for step in range(2000)))
    steps = [point["step"] for point in read_watch(run_id, home)["points"]]
    assert len(steps) == MAXIMUM_MATRICES and (steps[0], steps[-1]) == (0, 1999) and steps == sorted(set(steps))


def test_series_of_an_unknown_run_are_refused(home, add_run):
    add_run()
    with pytest.raises(InputError, match="There is no run"):
        read_series(["20260101-000000-aaaa"], home)


def test_the_end_of_the_log_shows_progress_bars_as_drawn_last(home, add_run):
    run_id = add_run()
    path = run_folder(run_id, home) / LOG_FILE
    bar = "".join(f"\rEncoding: {percent}%" for percent in range(101))
    path.write_bytes(f"\x1b[32mgreen\x1b[0m\r\nbefore\n{bar}\nafter ü".encode())
    assert read_live(run_id, home)["log"] == "green\nbefore\nEncoding: 100%\nafter ü"


def test_a_long_log_ends_with_whole_lines(tmp_path):
    path = tmp_path / LOG_FILE
    path.write_text("".join(f"line {number}\n" for number in range(50_000)))
    log = read_log(path)
    lines = log.splitlines()
    assert len(log) <= 8000 and lines[-1] == "line 49999"
    assert [int(text.removeprefix("line ")) for text in lines] == list(range(50_000 - len(lines), 50_000))


def test_a_log_of_one_endless_bar_is_cut(tmp_path):
    path = tmp_path / LOG_FILE
    path.write_bytes(b"\rworking" * 100_000)
    assert read_log(path) == "working"


def test_the_time_left_follows_from_steps_and_seconds(home, add_run, connection):
    run_id = add_run()
    assert read_live(run_id, home)["eta_seconds"] is None
    store.claim_oldest(connection, home, this_process())
    assert read_live(run_id, home)["eta_seconds"] is None
    store.update(connection, run_id, {"step": 25, "total_steps": 100, "seconds": 10.0})
    assert read_live(run_id, home)["eta_seconds"] == pytest.approx(30.0)


def test_a_missing_file_has_no_points(tmp_path):
    assert read_points(tmp_path / METRICS_FILE, "77") == ([], "0")


def test_lines_that_were_cut_and_went_on_are_left_out(home, metrics):
    path = home / "cut.jsonl"
    path.parent.mkdir(exist_ok=True)
    deep = "[" * 100_000
    path.write_text(
        f'{{"type": "evaluation", "step": 1, "value": "0.5"}}\n{{"typ\n{deep}\n7\n{{"type": "train", "loss": 2}}\n{{"type": "train", "step": 2}}\n'
    )
    assert [point["step"] for point in read_points(path)[0]] == [2]
