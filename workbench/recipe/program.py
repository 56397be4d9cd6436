"""A recipe as a Python program that uses sentence-transformers and nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping

from workbench.recipe.architecture import EncoderInfo, LayerSpec
from workbench.recipe.kinds import KINDS, DatasetKind
from workbench.recipe.layers import ACTIVATIONS
from workbench.recipe.losses import LossSpec, default_loss
from workbench.recipe.recipe import Recipe
from workbench.recipe.training import USUAL_WIDTH

DEFAULT_FILES: Mapping[str, str] = {"train": "train.csv", "validation": "validation.csv", "test": "test.csv"}

_EVALUATORS: Mapping[str, str] = {
    "scored_pairs": 'evaluation.EmbeddingSimilarityEvaluator({p}["sentence1"], {p}["sentence2"], {p}["score"])',
    "labelled_pairs": 'evaluation.BinaryClassificationEvaluator({p}["sentence1"], {p}["sentence2"], {p}["label"])',
    "triplets": 'evaluation.TripletEvaluator({p}["anchor"], {p}["positive"], {p}["negative"])',
    "pairs": "retrieval_evaluator({p})",
}

_AUTO_BF16 = "torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= 8"

_RETRIEVAL = '''
def retrieval_evaluator(part):
    """Search every anchor over all positives of the part."""
    corpus = {text: str(number) for number, text in enumerate(dict.fromkeys(part["positive"]))}
    queries = {text: str(number) for number, text in enumerate(dict.fromkeys(part["anchor"]))}
    relevant = {}
    for anchor, positive in zip(part["anchor"], part["positive"]):
        relevant.setdefault(queries[anchor], set()).add(corpus[positive])
    swap = lambda table: {number: text for text, number in table.items()}
    return evaluation.InformationRetrievalEvaluator(swap(queries), swap(corpus), relevant)

'''


def render_program(
    recipe: Recipe,
    kind: str,
    num_labels: int = 2,
    files: Mapping[str, str] | None = None,
    encoder: EncoderInfo | None = None,
    base: str | None = None,
) -> str:
    """Return a program that trains the same network on the same rows with the same settings.

    What sentence-transformers cannot express is in a comment.

    Args:
        recipe: What to train.
        kind: The kind of its data set.
        num_labels: Number of classes, for SoftmaxLoss.
        files: CSV file of each part (`train`, and `validation` and `test` where there are such parts), columns named by role.
        encoder: Facts of the base; with them the base's own trained layers are kept where the stack is the base's own.
        base: Folder or name to load the encoder from; None for the recipe's own.
    """
    files = DEFAULT_FILES if files is None else files
    loss = recipe.loss or default_loss(kind)
    table = KINDS[kind]
    config = recipe.training
    rate = config.learning_rate_for(recipe.base != "scratch", USUAL_WIDTH if encoder is None else encoder.width)
    notes = _notes(recipe, table, loss)
    evaluates = "validation" in files and kind in _EVALUATORS
    lines = [
        '"""Trains with sentence-transformers what a workbench recipe describes.',
        "",
        f"Base: {recipe.base}. Loss: {loss.name}. Data: {recipe.data}, {kind}.",
        '"""',
        "",
        "import torch",
        "from datasets import load_dataset",
        "from sentence_transformers import (",
        "    SentenceTransformer,",
        "    SentenceTransformerTrainer,",
        "    SentenceTransformerTrainingArguments,",
        "    evaluation,",
        "    losses,",
        "    models,",
        ")",
        "from sentence_transformers.training_args import BatchSamplers",
        "",
        *[f"# {note}" for note in notes],
        *([""] if notes else []),
        f"torch.manual_seed({config.seed})",
        *_network(recipe, encoder, base or recipe.base),
        "",
        f"files = {dict(files)!r}",
        'parts = {name: load_dataset("csv", data_files=path, split="train", keep_default_na=False) for name, path in files.items()}',
        f"columns = {list(table.roles)!r}",
        'train = parts["train"].select_columns(columns)',
        "",
        f"loss = {_loss(loss, num_labels, config.micro_batch_size)}",
    ]
    if kind == "pairs" and ("validation" in files or "test" in files):
        lines += ["", *_RETRIEVAL.splitlines()]
    if evaluates:
        lines += [f"validate = {_EVALUATORS[kind].format(p='parts[' + repr('validation') + ']')}"]
    if "test" in files and kind in _EVALUATORS:
        lines += [f"test = {_EVALUATORS[kind].format(p='parts[' + repr('test') + ']')}", 'print("before:", test(model))']
    lines += [
        "",
        "arguments = SentenceTransformerTrainingArguments(",
        '    output_dir="output",',
        *([f"    max_steps={config.max_steps},"] if config.max_steps else [f"    num_train_epochs={config.epochs:g},"]),
        f"    per_device_train_batch_size={config.batch_size},",
        f"    learning_rate={rate:g},",
        f"    warmup_steps={config.warmup_ratio:g},  # below 1: a share of all steps",
        f"    weight_decay={config.weight_decay:g},",
        f"    max_grad_norm={config.max_grad_norm:g},",
        f"    seed={config.seed},",
        f"    bf16={_AUTO_BF16 if config.precision == 'auto' else config.precision == 'bf16'},",
        f"    fp16={config.precision == 'fp16'},",
        f"    use_cpu={config.device == 'cpu'},",
        *(["    batch_sampler=BatchSamplers.NO_DUPLICATES,"] if loss.entry.in_batch_negatives else []),
        *(_selection(table, config.eval_steps) if evaluates else ['    save_strategy="no",']),
        "    report_to=[],",
        ")",
        "trainer = SentenceTransformerTrainer(",
        f"    model=model, args=arguments, train_dataset=train, loss=loss{', evaluator=validate' if evaluates else ''}",
        ")",
        "trainer.train()",
        *(['print("after:", test(model))'] if "test" in files and kind in _EVALUATORS else []),
        'model.save("model")',
    ]
    return "\n".join(lines) + "\n"


def _network(recipe: Recipe, encoder: EncoderInfo | None, base: str) -> list[str]:
    architecture = recipe.architecture
    own = encoder is not None and architecture is not None and encoder.layers == architecture.layers[1:] and bool(encoder.layers)
    limit = architecture.layers[0].params["max_seq_length"] if architecture is not None else None
    if architecture is None or own:
        return [f"model = SentenceTransformer({base!r})", *([f"model.max_seq_length = {limit}"] if limit else [])]
    lines = [f"encoder = models.Transformer({base!r}{f', max_seq_length={limit}' if limit else ''})", "modules = [encoder]"]
    lines.append("width = encoder.get_word_embedding_dimension()")
    for layer in architecture.layers[1:]:
        lines += _layer(layer)
    return [*lines, "model = SentenceTransformer(modules=modules)"]


def _layer(layer: LayerSpec) -> list[str]:
    params = layer.params
    match layer.kind:
        case "pooling":
            modes = params["pooling_mode"]
            mode = repr(modes[0]) if len(modes) == 1 else repr(modes)
            return [
                f"modules.append(models.Pooling(width, pooling_mode={mode}, include_prompt={params['include_prompt']}))",
                f"width *= {len(modes)}" if len(modes) > 1 else "",
            ][: 2 if len(modes) > 1 else 1]
        case "dense":
            activation = ACTIVATIONS[params["activation_function"]].rpartition(".")[2]
            return [
                f"modules.append(models.Dense(width, {params['out_features']}, bias={params['bias']}, "
                f"activation_function=torch.nn.{activation}()))",
                f"width = {params['out_features']}",
            ]
        case "dropout":
            return [f"modules.append(models.Dropout({params['dropout']}))"]
        case "layernorm":
            return ["modules.append(models.LayerNorm(width))"]
        case _:
            return [f"modules.append(models.{layer.entry.title}())"]


def _loss(loss: LossSpec, num_labels: int, micro_batch_size: int | None) -> str:
    arguments = [f"{name}={value!r}" for name, value in loss.params.items()]
    name = loss.name
    if micro_batch_size and loss.entry.cached:
        name = loss.entry.cached
        arguments.append(f"mini_batch_size={micro_batch_size}")
    if loss.entry.needs_classes:
        arguments += ["embedding_dimension=model.get_sentence_embedding_dimension()", f"num_labels={num_labels}"]
    return f"losses.{name}({', '.join(['model', *arguments])})"


def _selection(table: DatasetKind, eval_steps: int | None) -> list[str]:
    return [
        '    eval_strategy="steps",',
        f"    eval_steps={eval_steps or 0.1},",
        '    save_strategy="steps",',
        f"    save_steps={eval_steps or 0.1},",
        "    save_total_limit=1,",
        "    load_best_model_at_end=True,",
        f'    metric_for_best_model="eval_{table.primary_metric}",',
    ]


def _notes(recipe: Recipe, table: DatasetKind, loss: LossSpec) -> list[str]:
    notes = ["The workbench also measures before the first step and keeps the start if no later step is better."]
    if recipe.base == "scratch":
        notes.append(
            "The base is an untrained encoder whose tokens were learned from the training texts; it is loaded from its folder."
        )
    if table.name == "class_pairs":
        notes.append(
            "sentence-transformers has no evaluator for classes of pairs; the workbench measures a linear probe on u, v and |u-v|."
        )
    if recipe.training.micro_batch_size and not loss.entry.cached:
        notes.append(
            f"The workbench embeds {recipe.training.micro_batch_size} rows at a time with the same gradients; here the whole batch is."
        )
    if recipe.training.devices > 1:
        notes.append(
            f"The workbench shares each batch among {recipe.training.devices} devices; one alone, as here, gives the same."
        )
    if recipe.training.precision == "auto":
        notes.append("The workbench's precision auto also takes bf16 on a CPU that computes it fast; here only a GPU does.")
    if table.name == "scored_pairs":
        notes.append("Scores in the files are scaled to 0 .. 1 already.")
    return notes
