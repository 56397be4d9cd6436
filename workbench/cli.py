"""The commands: everything the page does, from a shell.

Words and progress go to stderr, results to stdout; with --json the last line of stdout is one JSON object. Exit codes: 0 done,
1 a run that failed on its own, 2 wrong input or options, 130 interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from workbench.errors import ConfigError, DataError, InputError, ModelError, WorkbenchError
from workbench.json_text import dump_json
from workbench.number_text import decimal
from workbench.recipe import (
    SUGGESTED,
    TRAINING_PARAMETERS,
    ArchitectureSpec,
    LayerSpec,
    Recipe,
    TrainingConfig,
    parse_layers,
    parse_loss,
    parse_watch,
)
from workbench.settings import Settings, home_folder
from workbench.writing import check_output_file, check_output_folder, copy_folder, replacing, told

if TYPE_CHECKING:
    from workbench.data import StoredDataset
    from workbench.evaluation import Evaluation, Evaluator
    from workbench.models import SentenceTransformer
    from workbench.playground import DryPass
    from workbench.runs import Reading, Run

INTERRUPTED = 130
SHOWN_ERRORS = 20
"""Rows of the table of errors that are shown; a CSV file holds all of them."""

Answer = tuple[int, Mapping[str, Any]]
"""Exit code, and what --json prints."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Leave with exit code 2."""
        self.exit(2, f"{self.prog}: {message[:1].upper()}{message[1:]}. See `{self.prog} --help`.\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: The words after `python -m workbench`; None for those of this process.
    """
    options = build_parser().parse_args(arguments)
    try:
        # Only now: a user without a home folder must name one, and may.
        options.home_folder = options.home_folder or home_folder()
        code, answer = options.command(options)
    except WorkbenchError as error:
        return _fail(options, error.message, error.exit_code)
    except KeyboardInterrupt:
        return _fail(options, "Interrupted.", INTERRUPTED)
    except BrokenPipeError:
        return 0
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        return _fail(options, f"The system refused a file operation: {error.strerror or error}{place}.", 1)
    except Exception as error:
        log = (options.home_folder or Path()) / "errors.log"
        where = ""
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as stream:
                traceback.print_exc(file=stream)
            where = f" The details are in {log}."
        except OSError:
            pass
        return _fail(options, f"The workbench made a mistake: {type(error).__name__}: {error}.{where}", 1)
    if options.json:
        print(dump_json(answer), flush=True)
    return code


def serve_page(arguments: Sequence[str] | None = None) -> int:
    """Do what `app.py` does: the `ui` command without the words before its options.

    Args:
        arguments: The options; None for those of this process.
    """
    parser = _Parser(prog="app.py", description="Fine-tune sentence-embedding models in the browser.")
    parser.add_argument("--home", metavar="DIR", help="where data sets, runs and models live ($WORKBENCH_HOME, else ~/.workbench)")
    add_ui_options(parser)
    options = parser.parse_args(arguments)
    try:
        _serve(options, options.home)
    except ModuleNotFoundError as error:
        _say(f"The package {error.name} is not installed; run `pip install -r requirements.txt` first.")
        return InputError.exit_code
    except WorkbenchError as error:
        _say(error.message)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _fail(options: argparse.Namespace, message: str, code: int) -> int:
    _say(f"Error: {message}" if code != INTERRUPTED else message)
    if options.json:
        print(dump_json({"error": message}), flush=True)
    return code


def _say(text: str = "") -> None:
    print(text, file=sys.stderr, flush=True)


class _Home(argparse.Action):
    """Stores the folder, resolved."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        """Set `home_folder`."""
        namespace.home_folder = home_folder(values)


def _usual_home() -> Path | None:
    try:
        return home_folder()
    except InputError:  # said by the command, unless it names one
        return None


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    common = _Parser(add_help=False)
    common.add_argument(
        "--home", metavar="DIR", action=_Home, help="where data sets, runs and models live ($WORKBENCH_HOME, else ~/.workbench)"
    )
    common.add_argument("--json", action="store_true", help="print one JSON object as the last line of stdout")
    common.set_defaults(home_folder=_usual_home())

    parser = _Parser(prog="python -m workbench", description="Fine-tune sentence-embedding models.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)

    def command(name: str, function: Callable[[argparse.Namespace], Answer], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[common], help=text, description=text[:1].upper() + text[1:] + ".")
        sub.set_defaults(command=function)
        return sub

    ui = command("ui", _ui, "open the page")
    add_ui_options(ui)

    train = command("train", _train, "train a model and follow the run")
    train.add_argument("data", nargs="?", metavar="DATA", help="a CSV, TSV or JSONL file, or a stored data set")
    train.add_argument("--base", metavar="MODEL", help="Hub name, folder, run id, or a bundled name such as scratch")
    train.add_argument("--recipe", metavar="FILE", help="train what a recipe.json says; other options change it")
    train.add_argument("--layers", metavar="STACK", help='after the encoder, e.g. "pooling:mean,dense:256:tanh,normalize"')
    train.add_argument("--loss", metavar="NAME[:key=value]", help="class name, or auto for the one that fits the data")
    train.add_argument("--name", help="what to call the run")
    train.add_argument("--validation-data", metavar="FILE", help="validation rows (else split off)")
    train.add_argument("--test-data", metavar="FILE", help="rows for the verdict (else split off)")
    train.add_argument(
        "--watch", metavar="FILE", help="up to 12 sentences, one per line, whose similarities are recorded at every evaluation"
    )
    train.add_argument("--max-seq-length", metavar="N", help="cut texts after this many tokens")
    for parameter in TRAINING_PARAMETERS:
        unit = f" [{parameter.unit}]" if parameter.unit else ""
        text = f"{parameter.help}{unit} (default: {'none' if parameter.default is None else parameter.default})"
        train.add_argument(_option(parameter.name), metavar="X", help=text.replace("%", "%%"))
    train.add_argument(
        "--suggest", action="store_true", help=f"take {', '.join(map(_option, SUGGESTED))} from the number and kind of the rows"
    )
    train.add_argument("--device", help="auto, cpu, mps, cuda or cuda:N")
    train.add_argument(
        "--allow-leaking-split", action="store_true", help="accept a random split where no leak-free one is possible"
    )
    train.add_argument("--output", metavar="DIR", help="copy the trained model folder here")
    _add_data_options(train)

    evaluate = command("evaluate", _evaluate, "measure a model on a file")
    evaluate.add_argument("model", metavar="MODEL")
    evaluate.add_argument("data", metavar="DATA")
    evaluate.add_argument("--against", metavar="MODEL", help="also measure this one, and judge MODEL against it")
    _add_data_options(evaluate)

    encode = command("encode", _encode, "turn texts into vectors")
    encode.add_argument("model", metavar="MODEL")
    encode.add_argument("texts", metavar="TEXTS", help="a file with one text per line, or a table with --column")
    encode.add_argument("--output", metavar="FILE.npy", required=True)
    encode.add_argument("--column", help="the column of a CSV, TSV or JSONL file that holds the texts")
    encode.add_argument("--batch-size", type=int, default=32, metavar="N")
    encode.add_argument("--normalize", action="store_true", help="scale vectors to length 1")
    encode.add_argument("--truncate-dim", type=int, metavar="N", help="keep only the first N numbers")

    similarity = command("similarity", _similarity, "compare texts with one another")
    similarity.add_argument("model", metavar="MODEL")
    similarity.add_argument("texts", metavar="TEXT", nargs="+")

    search = command("search", _search, "find the texts most like a query")
    search.add_argument("model", metavar="MODEL")
    search.add_argument("corpus", metavar="CORPUS", help="a file with one text per line, or a table with --column")
    search.add_argument("query", metavar="QUERY")
    search.add_argument("--column", help="the column of a CSV, TSV or JSONL file that holds the texts")
    search.add_argument("--k", type=int, default=10, metavar="N", help="how many texts to show (10)")

    sizes = command("sizes", _sizes, "measure what shorter and coarser vectors cost a model")
    sizes.add_argument("model", metavar="MODEL", help="also base:RUN_ID, what a run started from")
    sizes.add_argument("--data", metavar="DATA", help="rows to measure on (else the test rows of the model's run)")
    _add_data_options(sizes)

    check = command("check", _check, "read a data file and report what it holds")
    check.add_argument("data", metavar="DATA")
    check.add_argument("--full", action="store_true", help="run the costly checks on every row")
    check.add_argument(
        "--base", metavar="MODEL", help="also say what this base encoder reads of the texts (the bundled one, where none is named)"
    )
    _add_data_options(check)

    dry_pass = command("dry-pass", _dry_pass, "pass three rows through a network before any training, and say what is wrong")
    dry_pass.add_argument("data", metavar="DATA")
    dry_pass.add_argument(
        "--base", metavar="MODEL", required=True, help="Hub name, folder, run id, or a bundled name such as scratch"
    )
    dry_pass.add_argument("--layers", metavar="STACK", help="after the encoder, as in train (else the base's own, or mean pooling)")
    dry_pass.add_argument("--max-seq-length", metavar="N", help="cut texts after this many tokens")
    dry_pass.add_argument("--seed", type=int, default=TrainingConfig().seed, metavar="N", help="for the weights of new layers")
    _add_data_options(dry_pass)

    runs = command("runs", _runs, "list, show, stop, rename or delete runs; list, fix and retrain with a run's errors")
    runs.add_argument("action", choices=("list", "show", "stop", "rename", "delete", "errors", "fix", "retrain"))
    runs.add_argument("run_id", nargs="?", metavar="RUN_ID")
    runs.add_argument("--keep", choices=("latest", "best", "none"), default="best", help="which weights a stopped run keeps")
    runs.add_argument("--name", help="the new name")
    runs.add_argument(
        "--sort",
        choices=("tuned", "worse", "better", "row"),
        default="tuned",
        help="order of `errors`: by the tuned model's error, by what got worse or better most, or by row",
    )
    runs.add_argument("--csv", metavar="FILE", help="write all errors here instead of showing the first")
    runs.add_argument(
        "--fixes", metavar="FILE", help="a CSV file with row, action (fix, drop, review) and value, as `errors --csv` writes it"
    )

    script = command("script", _script, "print the equivalent sentence-transformers program")
    script.add_argument("source", metavar="RUN_ID_OR_RECIPE")
    script.add_argument("--data", metavar="DIR", help="write the run's three parts here as CSV files, for the program to read")

    command("doctor", _doctor, "say what is installed, what is there, and what would not work")
    return parser


def add_ui_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `app.py` and the `ui` command share, apart from --home."""
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to (127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="port (7860; 0 picks a free one and prints it)")
    parser.add_argument(
        "--auth-file",
        metavar="FILE",
        help="file of mode 600 with USER:PASSWORD for the page (or set WORKBENCH_AUTH); required when the host is not loopback",
    )
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="the same as an option, which other users can see in `ps`")
    parser.add_argument("--no-token", action="store_true", help="ask for no access token where there is no password")
    parser.add_argument("--allowed-host", action="append", default=[], metavar="NAME", help="further name the page is reached by")
    parser.add_argument(
        "--allow-frame", action="append", default=[], metavar="ORIGIN", help="origin whose pages may show this one in a frame"
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="ADDRESS",
        help="reverse proxy whose X-Forwarded-* headers are believed",
    )
    parser.add_argument("--root-path", default="", metavar="PATH", help="path under which a reverse proxy offers the page")
    parser.add_argument("--open", action="store_true", help="open a browser")


def _add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--columns", metavar="ROLE=COLUMN,...", help='e.g. "sentence1=a,sentence2=b,score=c"')
    parser.add_argument("--score-scale", metavar="LOW-HIGH", help="lowest and highest possible score, e.g. 1-5")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def parse_columns(text: str | None) -> dict[str, str]:
    """Read `role=column,role=column`.

    Raises:
        ConfigError: If a part has no `=`.
    """
    columns: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        role, equals, column = part.partition("=")
        if not equals or not role.strip() or not column.strip():
            raise ConfigError(f'`--columns` must look like "sentence1=a,sentence2=b,score=c", got {text!r}.', field="columns")
        columns[role.strip()] = column.strip()
    return columns


def parse_scale(text: str | None) -> tuple[float, float] | None:
    """Read `LOW-HIGH`, e.g. `0-5` or `-1-1`.

    Raises:
        ConfigError: If it is no such pair.
    """
    if text is None:
        return None
    from workbench.data import check_scale

    at = text.find("-", 1)
    try:
        scale = float(text[:at]), float(text[at + 1 :])
    except ValueError:
        raise ConfigError(f"`--score-scale` must be LOW-HIGH, e.g. 1-5, got {text!r}.", field="score_scale") from None
    return check_scale(scale)


# --- train ---------------------------------------------------------------------------------------------------------------


def _given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the loop that stand on the command line."""
    given = {}
    for parameter in TRAINING_PARAMETERS:
        text = getattr(options, parameter.name)
        if text is not None:
            try:
                given[parameter.name] = parameter.parse(text)
            except ConfigError as error:
                raise ConfigError(
                    error.message.replace(f"`{parameter.name}`", f"`{_option(parameter.name)}`"), parameter.name
                ) from None
    return given if options.device is None else given | {"device": options.device}


def _recipe(options: argparse.Namespace) -> Recipe:
    """Return the recipe that the options of `train` describe."""
    given = _given_settings(options)
    start = _read_recipe(Path(options.recipe)) if options.recipe else None
    base = options.base or (start.base if start else None)
    data = options.data or (start.data if start else None)
    if data is None:
        raise InputError("`train` needs DATA, a CSV, TSV or JSONL file (or `--recipe FILE`).", field="data")
    if base is None:
        raise InputError("`train` needs `--base MODEL`: a Hub name, a folder, a run id, or scratch.", field="base")
    recipe = start or Recipe(base, data)
    changes: dict[str, Any] = {"base": base, "data": data, "training": TrainingConfig.from_dict(recipe.training.to_dict() | given)}
    if options.loss is not None:
        changes["loss"] = parse_loss(options.loss)
    if options.columns is not None:
        changes["columns"] = parse_columns(options.columns)
    if options.score_scale is not None:
        changes["score_scale"] = parse_scale(options.score_scale)
    for name in ("validation_data", "test_data", "name"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if options.watch is not None:
        changes["watch"] = parse_watch("\n".join(_read_texts(Path(options.watch), None)))
    if options.allow_leaking_split:
        changes["allow_leaking_split"] = True
    recipe = recipe.replace(**changes, architecture=_architecture(options, recipe, base))
    return _suggested(recipe, given, options.home_folder) if options.suggest else recipe


def _suggested(recipe: Recipe, given: Mapping[str, Any], home: Path) -> Recipe:
    """Return the recipe with the settings that fit its data; what stands on the command line stays."""
    from workbench.runs import suggest

    suggestion = suggest(recipe, home)
    values = {name: value for name, value in suggestion.values().items() if name not in given}
    words = ", ".join(f"{_option(name)} {value:g}" for name, value in values.items())
    _say(f"Suggested for {suggestion.rows:,} training rows: {words or 'nothing that is not given'} ({suggestion.reason}).")
    return recipe.replace(training=TrainingConfig.from_dict(recipe.training.to_dict() | values))


def _architecture(options: argparse.Namespace, recipe: Recipe, base: str) -> ArchitectureSpec | None:
    """Return the stack; None leaves the base's own layers, or mean pooling, to be looked up when the run is queued."""
    if options.layers is None and options.max_seq_length is None:
        return recipe.architecture
    if options.layers is not None:
        after = parse_layers(options.layers)
    elif recipe.architecture is not None:
        after = recipe.architecture.layers[1:]
    else:
        from workbench.models import describe_base
        from workbench.runs import resolve_model

        info = describe_base(resolve_model(base, options.home_folder), options.home_folder)
        after = info.layers or ArchitectureSpec.default().layers[1:]
    encoder = LayerSpec("transformer")
    if options.max_seq_length is not None:
        encoder = LayerSpec(
            "transformer", {"max_seq_length": encoder.entry.parameters[0].parse(options.max_seq_length, "Transformer")}
        )
    elif recipe.architecture is not None:
        encoder = recipe.architecture.layers[0]
    return ArchitectureSpec((encoder, *after))


def _read_recipe(path: Path) -> Recipe:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe `{path}` cannot be read: {error}.", field="recipe") from None
    return Recipe.from_json(text)


def _train(options: argparse.Namespace) -> Answer:
    from workbench.runs import read_dataset, submit

    output = None if options.output is None else check_output_folder(options.output, "--output")
    run = submit(
        _recipe(options), options.home_folder, before=lambda recipe: _say_findings(read_dataset(recipe, options.home_folder))
    )
    return _finish_train(options, run, output)


def _finish_train(options: argparse.Namespace, run: Run, output: Path | None) -> Answer:
    """Follow a queued run to its end and say how it came out.

    Args:
        options: Of the command.
        run: The queued run.
        output: Gets a copy of the model; None for none.
    """
    from workbench.models.kept import follow_pointer
    from workbench.runs import RunResult

    _say(f"Run {run.run_id} is queued; it goes on when this command ends.")
    run = _follow(run.run_id, options.home_folder)
    answer = RunResult.from_run(run).to_dict()
    if output is not None and answer["output_dir"]:
        whole = answer["output_dir"]
        with told(output, f"The copy of the model for `--output {options.output}`", f" The whole model is in `{whole}`."):
            output.mkdir(parents=True, exist_ok=True)
            copy_folder(follow_pointer(Path(whole)), output)
        answer["output_dir"] = str(output)
    if run.active:
        _say(f"The run goes on; see `python -m workbench runs show {run.run_id}`.")
        return INTERRUPTED, answer
    _say(run.verdict["sentence"] if run.verdict else run.message or f"The run is {run.status}.")
    if run.verdict:
        if answer["general"]:
            _say(answer["general"]["sentence"])
        if answer["threshold"] is not None:
            _say(f"Threshold: from a cosine of {decimal(answer['threshold'], 3)} on, call two texts a match.")
    for warning in answer["warnings"]:
        _say(f"Warning: {warning['message']}")
    if answer["output_dir"]:
        _say(f"Model: {answer['output_dir']}")
    if not options.json:
        print(run.run_id)
    codes = {"completed": 0, "stopped": INTERRUPTED}
    if run.status not in codes:
        _say(f"Error: {run.message or f'the run is {run.status}'}")
        answer = {**answer, "error": run.message}
    return codes.get(run.status, 1), answer


def _follow(run_id: str, home: Path) -> Run:
    """Show the progress of a run until it ends; Ctrl-C once stops it and keeps the latest weights, twice leaves it running."""
    from tqdm import tqdm

    from workbench.runs import follow, get_run, request_stop

    # In a file each move of the bar would be one more line; evaluations and messages are lines there as well.
    bar = tqdm(total=None, unit="step", file=sys.stderr, dynamic_ncols=True, disable=not sys.stderr.isatty())

    def show(live: Mapping[str, Any]) -> None:
        run = live["run"]
        if run["total_steps"] and bar.total != run["total_steps"]:
            bar.reset(total=run["total_steps"])
        bar.n = run["step"] or 0
        for point in live["points"]:
            if point.get("type") == "evaluation":
                value = "not measurable" if point.get("value") is None else decimal(point["value"], 4)
                bar.write(
                    f"step {point['step']}: {point.get('primary_metric', 'value')} {value} on the validation part", file=sys.stderr
                )
            elif point.get("loss") is not None:
                bar.set_postfix(loss=f"{point['loss']:.4f}", refresh=False)
        folds = run["facts"].get("cross_validation")
        state = f"cross-validation {folds['done']}/{folds['total']}" if folds and run["active"] else run["status"]
        bar.set_description(state, refresh=False)
        bar.refresh()

    interrupted = False
    try:
        while True:
            try:
                return follow(run_id, home, show, lambda text: bar.write(text, file=sys.stderr))
            except KeyboardInterrupt:
                if interrupted:
                    return get_run(run_id, home)
                interrupted = True
                if get_run(run_id, home).active:
                    request_stop(run_id, home, keep="latest")
                    _say("\nStopping and keeping the latest weights; press Ctrl-C again to leave the run alone.")
    finally:
        bar.close()


# --- models and data -----------------------------------------------------------------------------------------------------


def _load(name: str, home: Path) -> SentenceTransformer:
    """Return the model of a run id, folder, bundled or Hub name."""
    from workbench.runs import resolve_model

    resolved = resolve_model(name, home)
    if resolved == "scratch":
        raise ModelError("`scratch` has no weights before it is trained; name a run, a folder or a Hub model.", field="model")
    import transformers

    from workbench.models import SentenceTransformer, resolve_base

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return SentenceTransformer(resolve_base(resolved, home))


def _dataset(options: argparse.Namespace) -> StoredDataset:
    from workbench.data import import_file, is_dataset_ref, open_dataset

    path = Path(options.data)
    if not path.exists() and is_dataset_ref(options.data):
        return open_dataset(options.data, options.home_folder)
    return import_file(path, options.home_folder, parse_columns(options.columns) or None, parse_scale(options.score_scale))


def _evaluate(options: argparse.Namespace) -> Answer:
    stored = _dataset(options)
    from workbench.data import components
    from workbench.evaluation import compute_verdict
    from workbench.recipe import KINDS

    evaluator = _evaluator_of(stored)
    table = stored.table()
    texts = [text for role in KINDS[stored.kind].texts for text in table[role][:]]
    counted: dict[str, dict[str, Any]] = {}

    def measure(name: str) -> Evaluation:
        model = _load(name, options.home_folder)
        counted[name] = _count(model, texts)
        return evaluator(lambda texts: model.encode(texts, show_progress_bar=sys.stderr.isatty()))

    after = measure(options.model)
    answer: dict[str, Any] = {
        "metrics": dict(after.metrics),
        "primary_metric": after.primary_metric,
        "rows": after.rows,
        "tokens": counted[options.model],
    }
    if options.against:
        before = measure(options.against)
        verdict = compute_verdict(before, after, components(stored.table(), list(KINDS[stored.kind].texts)))
        answer |= {"against": dict(before.metrics), "verdict": verdict.to_dict()}
        _say(verdict.sentence)
    if not options.json:
        _print_table(["metric", options.model, *([options.against] if options.against else [])], _metric_rows(answer))
    return 0, answer


def _evaluator_of(stored: StoredDataset) -> Evaluator:
    from workbench.evaluation import build_evaluator
    from workbench.recipe import KINDS

    kind, table = KINDS[stored.kind], stored.table()
    labels = None if kind.label is None else table[kind.label][:]
    return build_evaluator(stored.kind, [table[role][:] for role in kind.texts], labels)


def _metric(value: float | None, form: str = ".4f") -> str:
    """Return a metric as a table shows it."""
    return "not measurable" if value is None or not math.isfinite(value) else format(value, form)


def _metric_rows(answer: Mapping[str, Any]) -> list[list[str]]:
    sides = [answer["metrics"], *([answer["against"]] if "against" in answer else [])]
    return [[name, *(_metric(side[name]) for side in sides)] for name in answer["metrics"]]


def _encode(options: argparse.Namespace) -> Answer:
    import numpy as np

    output = check_output_file(options.output, "--output")
    if options.batch_size < 1 or (options.truncate_dim is not None and options.truncate_dim < 1):
        raise InputError("`--batch-size` and `--truncate-dim` must be whole numbers from 1.", field="batch_size")
    texts = _read_texts(Path(options.texts), options.column)
    model = _load(options.model, options.home_folder)
    vectors = model.encode(
        texts,
        batch_size=options.batch_size,
        normalize_embeddings=options.normalize,
        truncate_dim=options.truncate_dim,
        show_progress_bar=sys.stderr.isatty(),
    )
    with told(output, "The vectors"), replacing(output, "wb") as stream:
        np.save(stream, vectors, allow_pickle=False)
    _say(f"Wrote {len(vectors):,} vectors of {vectors.shape[1]} numbers to {output}.")
    return 0, {"output": str(output), "rows": len(vectors), "width": int(vectors.shape[1]), "tokens": _count(model, texts)}


def _count(model: SentenceTransformer, texts: Sequence[str]) -> dict[str, Any]:
    """Return how much of some texts a model read, as JSON shows it, and say what the user should know of it."""
    counts = model.count_tokens(texts)
    for _, words in counts.findings("this model"):
        _say(f"Warning: {words}")
    return counts.summary()


def _say_findings(reading: Reading | None) -> None:
    for _, words in [] if reading is None else reading.findings():
        _say(f"Warning: {words}")


def _read_texts(path: Path, column: str | None) -> list[str]:
    from workbench.data import read_column, read_lines

    return read_lines(path) if column is None else read_column(path, column)


def _similarity(options: argparse.Namespace) -> Answer:
    from workbench.playground import find_read_alike

    model = _load(options.model, options.home_folder)
    vectors = model.encode(options.texts, convert_to_tensor=True)
    matrix = model.similarity(vectors, vectors).tolist()
    read_alike = find_read_alike(options.texts, model.tokenize(options.texts))
    if not options.json:
        numbers = [str(index + 1) for index in range(len(matrix))]
        _print_table(
            ["", *numbers, "text"],
            [[n, *(decimal(x, 3) for x in row), t] for n, row, t in zip(numbers, matrix, options.texts, strict=True)],
        )
    answer = {"texts": options.texts, "matrix": matrix, "tokens": _count(model, options.texts)}
    for first, second in read_alike:
        _say(
            f"Warning: texts {first + 1} and {second + 1} differ, but not in what the model reads of them, so their similarity is that of "
            "equal texts."
        )
    by_text = model.count_tokens(options.texts).by_text()
    return 0, {**answer, "tokens_by_text": by_text, "read_alike": [[first, second] for first, second in read_alike]}


def _search(options: argparse.Namespace) -> Answer:
    from workbench.playground import best_hits, cosines

    if options.k < 1:
        raise InputError(f"`--k` must be a whole number from 1, got {options.k}.", field="k")
    if not options.query.strip():
        raise InputError("The query is empty; say what to look for.", field="query")
    # A text that is in several lines is one text, and a blank line is none.
    found = (text.strip() for text in _read_texts(Path(options.corpus), options.column))
    texts = list(dict.fromkeys(text for text in found if text))
    if not texts:
        raise DataError(f"`{options.corpus}` holds no text; it should hold one per line.", field="corpus")
    model = _load(options.model, options.home_folder)
    corpus = model.encode(texts, show_progress_bar=sys.stderr.isatty())
    hits = best_hits(cosines(model.encode([options.query]), corpus)[0], texts, options.k)
    if not options.json:
        _print_table(["", "cosine", "text"], [[str(hit.rank), decimal(hit.score, 3), hit.text] for hit in hits])
    results = [{"rank": hit.rank, "score": round(hit.score, 6), "text": hit.text} for hit in hits]
    return 0, {"query": options.query, "rows": len(texts), "results": results, "tokens": _count(model, [options.query, *texts])}


def _sizes(options: argparse.Namespace) -> Answer:
    from workbench.evaluation import METRIC_WORDS, build_evaluator, encode_batch
    from workbench.playground import HeldOut, find_held_out, measure_quality, resolve_encoder
    from workbench.runs import read_test_part

    home = options.home_folder
    if options.data is not None:
        held_out = HeldOut(None, options.data)
        evaluator = _evaluator_of(_dataset(options))
    else:
        held_out = find_held_out(options.model, home)
        if held_out.folder is None:
            raise InputError(f"`sizes {options.model}` needs `--data DATA`, rows to measure on: {held_out.words}.", field="data")
        part = read_test_part(held_out.folder)
        evaluator = build_evaluator(part.kind, part.columns, part.labels)
    model = _load(resolve_encoder(options.model, home), home)
    model.max_seq_length = held_out.max_seq_length or model.max_seq_length
    quality = measure_quality(
        evaluator,
        lambda texts: model.encode(texts, batch_size=encode_batch(model.device.type), show_progress_bar=sys.stderr.isatty()),
    )
    words = METRIC_WORDS.get(quality.metric, quality.metric)
    base = "" if held_out.base is None else f"; the base's full vectors have {decimal(held_out.base, 4)}"
    _say(f"{words[:1].upper()}{words[1:]} on {quality.rows:,} test rows of {held_out.words}{base}. {held_out.remark}".strip())
    if not options.json:
        full = quality.sizes[0].value
        rows = [
            [
                str(size.width),
                size.precision,
                str(size.bytes),
                _metric(size.value),
                _metric(None if size.value is None or full is None else size.value - full, "+.4f"),
            ]
            for size in quality.sizes
        ]
        _print_table(["numbers", "precision", "bytes (MB a million)", quality.metric, "change"], rows)
    return 0, {**quality.to_dict(), "base": held_out.base}


def _check(options: argparse.Namespace) -> Answer:
    from workbench.data import inspect_file

    report = inspect_file(
        Path(options.data), parse_columns(options.columns) or None, parse_scale(options.score_scale), full=options.full
    )
    if not options.json:
        print(report.summary)
        for issue in report.issues:
            print(f"{issue.severity}: {issue.message}")
    answer = report.to_dict()
    if report.usable:
        answer["reading"] = _check_reading(options)
    return 0 if report.usable else 2, answer


def _check_reading(options: argparse.Namespace) -> dict[str, Any] | None:
    """Return how much of a file's texts a base encoder would read, and say what the user should know of it."""
    from workbench.data import load_pairs
    from workbench.models import DEFAULT_BASE
    from workbench.runs import describe_start, read_columns

    base = options.base or DEFAULT_BASE
    if options.base:
        describe_start(base, options.home_folder)  # a base that was named must be there
    table = load_pairs(Path(options.data), parse_columns(options.columns) or None, parse_scale(options.score_scale))
    columns = [table[name] for name in table.column_names if name not in ("score", "label")]
    reading = read_columns(base, columns, options.home_folder)
    if reading is None:
        if options.base:
            _say(f"What {base} reads of the texts can be told once its tokenizer is on this machine.")
        return None
    if not options.json:
        for _, words in reading.findings():
            print(f"warning: {words}{'' if options.base else ' (`--base MODEL` looks with another encoder.)'}")
    return reading.to_dict()


def _dry_pass(options: argparse.Namespace) -> Answer:
    from workbench.data import is_dataset_ref, load_pairs, open_dataset
    from workbench.runs import describe_start

    home, path = options.home_folder, Path(options.data)
    info = describe_start(options.base, home)
    architecture = _architecture(options, Recipe(options.base, options.data), options.base)
    if architecture is None:
        architecture = ArchitectureSpec((LayerSpec("transformer"), *(info.layers or ArchitectureSpec.default().layers[1:])))
    architecture.validate(info)
    if not path.exists() and is_dataset_ref(options.data):
        table = open_dataset(options.data, home).table()
    else:
        table = load_pairs(path, parse_columns(options.columns) or None, parse_scale(options.score_scale))
    import transformers

    from workbench.playground import plan_dry_pass, run_dry_pass

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    result = run_dry_pass(plan_dry_pass(options.base, architecture, table, home, options.seed))
    if not options.json:
        _print_dry_pass(result)
    answer = {"tokens": result.counts.summary(), **result.to_dict()}
    del answer["counts"]  # a number for each text, for the page's process
    return 2 if any(finding.severity == "error" for finding in result.findings) else 0, answer


def _print_dry_pass(result: DryPass) -> None:
    rows = [
        [layer.title, " x ".join(str(size) for size in layer.shape)]
        + ["-" if x is None else decimal(x, 3) for x in (layer.lowest, layer.highest, layer.mean_size)]
        for layer in result.layers
    ]
    _print_table(["layer", "shape", "smallest", "largest", "mean size"], rows)
    for pair in result.pairs:
        cosine = "none" if pair.cosine is None else decimal(pair.cosine, 3)
        value = "" if pair.value is None else f" (its value {pair.value:g})"
        print(f"row {pair.row}: cosine of {pair.roles[0]} and {pair.roles[1]} {cosine}{value}")
    for finding in result.findings:
        print(f"{finding.severity}: {finding.message}")
    if not result.findings:
        print("Nothing looks wrong.")


# --- runs ----------------------------------------------------------------------------------------------------------------


def _runs(options: argparse.Namespace) -> Answer:
    from workbench.runs import delete_run, get_run, list_runs, rename_run, request_stop

    home = options.home_folder
    if options.action == "list":
        runs = list_runs(home)
        if not options.json:
            rows = [[run.run_id, run.name, run.status, run.created, _before_after(run)] for run in runs]
            _print_table(["run", "name", "status", "created", "before → after"], rows)
        keys = ("run_id", "name", "kind", "status", "created", "metrics")
        return 0, {"runs": [{key: run.to_dict()[key] for key in keys} for run in runs]}
    if options.run_id is None:
        raise InputError(f"`runs {options.action}` needs a RUN_ID; see `python -m workbench runs list`.", field="run_id")
    if options.action in _ERROR_ACTIONS:
        return _ERROR_ACTIONS[options.action](options)
    match options.action:
        case "show":
            run = get_run(options.run_id, home)
            if not options.json:
                print(dump_json(run.to_dict(), indent=2))
            return 0, run.to_dict()
        case "stop":
            run = request_stop(options.run_id, home, keep=options.keep)
        case "rename":
            if not options.name:
                raise InputError("`runs rename` needs `--name NEW`.", field="name")
            run = rename_run(options.run_id, home, options.name)
        case _:
            delete_run(options.run_id, home)
            _say(f"Deleted run {options.run_id}.")
            return 0, {"run_id": options.run_id, "deleted": True}
    _say(f"Run {run.run_id} is {run.status}.")
    return 0, {"run_id": run.run_id, "name": run.name, "status": run.status}


def _errors(options: argparse.Namespace) -> Answer:
    from workbench.runs import read_errors, write_table

    table = read_errors(options.run_id, options.home_folder)
    header, *records = table.records(options.sort)
    answer: dict[str, Any] = {"run_id": options.run_id, "kind": table.kind, "rows": len(records), "error": table.error_words}
    if options.csv:
        path = check_output_file(options.csv, "--csv")
        with told(path, "The table of errors"), replacing(path, newline="") as stream:
            write_table(stream, [header, *records])
        _say(
            f"Wrote {len(records):,} rows to {options.csv}; fill in action and value, then `runs fix {options.run_id} --fixes FILE`."
        )
        return 0, {**answer, "output": options.csv}
    _say(f"Error: {table.error_words}.")
    answer["errors"] = table.ordered(options.sort)[:SHOWN_ERRORS]
    if not options.json:
        _print_table(header, [[_short(cell) for cell in record] for record in records[:SHOWN_ERRORS]])
    return 0, answer


def _short(cell: Any) -> str:
    text = decimal(cell, 3) if isinstance(cell, float) else " ".join(str(cell).split())
    return text if len(text) <= 48 else f"{text[:47]}…"


def _fix(options: argparse.Namespace) -> Answer:
    from workbench.runs import correct_rows, read_fixes

    if options.fixes is None:
        raise InputError("`runs fix` needs `--fixes FILE`, a CSV file with the columns row, action and value.", field="fixes")
    table = correct_rows(options.run_id, options.home_folder, read_fixes(Path(options.fixes)))
    marks = [row["mark"]["action"] for row in table.rows if row["mark"]]
    counts = {action: marks.count(action) for action in ("fix", "drop", "review")}
    _say(
        f"Marked: {counts['fix']} to fix, {counts['drop']} to drop, {counts['review']} kept for review. "
        f"`runs retrain {options.run_id}` measures again with these fixes."
    )
    return 0, {"run_id": options.run_id, "marks": counts}


def _retrain(options: argparse.Namespace) -> Answer:
    from workbench.runs import retrain

    run = retrain(options.run_id, options.home_folder)
    trains = "" if run.kind == "train" else " The model is the same, so nothing is trained."
    _say(
        "The test rows are corrected, and both models are measured on them again: this is another measurement than that of the first "
        f"run.{trains}"
    )
    return _finish_train(options, run, None)


_ERROR_ACTIONS: Mapping[str, Callable[[argparse.Namespace], Answer]] = {"errors": _errors, "fix": _fix, "retrain": _retrain}


def _before_after(run: Run) -> str:
    from workbench.runs import further_words

    verdict = run.verdict or {}
    if verdict.get("before") is None or verdict.get("after") is None:
        return ""
    moved = f"{verdict['metric']} {decimal(verdict['before'], 3)} → {decimal(verdict['after'], 3)}, {verdict['outcome'].replace('_', ' ')}"
    return ", ".join([moved, *further_words(run)])


def _script(options: argparse.Namespace) -> Answer:
    from workbench.runs import program_of_recipe, program_of_run

    path = Path(options.source)
    folder = None if options.data is None else Path(options.data)
    if path.suffix == ".json" or path.is_file():
        program = program_of_recipe(_read_recipe(path), options.home_folder, folder)
    else:
        program = program_of_run(options.source, options.home_folder, folder)
    if not options.json:
        print(program, end="")
    return 0, {"program": program}


# --- the rest ------------------------------------------------------------------------------------------------------------


def _doctor(options: argparse.Namespace) -> Answer:
    from workbench.doctor import examine

    answer = examine(options.home_folder)
    if not options.json:
        _print_table(["", ""], [[name, str(value)] for name, value in answer["versions"].items()])
        for device in answer["devices"]:
            print(f"device   {device['name']}: {device['description']}")
        print(f"home     {answer['home']['path']} ({answer['home']['free_gib']:.1f} GiB free)")
        tokens = answer["tokens"]
        print(f"tokens   {tokens['data_sets']} tokenised data sets, {tokens['mib']:.0f} MiB in {tokens['path']} (may be deleted)")
        print("bases    " + ", ".join(answer["bases"]))
        for problem in answer["problems"]:
            print(f"problem  {problem}")
        if not answer["problems"]:
            print("Nothing is missing.")
    return 0, answer


def _ui(options: argparse.Namespace) -> Answer:
    _serve(options, options.home_folder)
    return 0, {}


def _serve(options: argparse.Namespace, home: str | Path | None) -> None:
    from workbench.ui import serve

    settings = Settings.from_environment(
        home,
        options.host,
        options.port,
        options.auth,
        tuple(options.allowed_host),
        auth_file=options.auth_file,
        needs_token=not options.no_token,
        frame_origins=tuple(options.allow_frame),
        trusted_proxies=tuple(options.trusted_proxy),
        root_path=options.root_path,
    )
    serve(settings, open_browser=options.open)


def _print_table(header: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(str(row[index])) for row in [header, *rows]) for index in range(len(header))]
    for row in [header, *rows] if any(header) else rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
