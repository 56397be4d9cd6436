"""Builds `mini`, the encoder that ships with the workbench, from a folder of texts and a teacher.

    python -m benchmarks.build_mini collect DATA --output TEXTS --exclude DATA/stsb/dev-no-msr-deft.csv
    python -m benchmarks.build_mini teach TEXTS --teacher TEACHER --work WORK --exclude DATA/stsb/dev-no-msr-deft.csv
    python -m benchmarks.build_mini train --teacher TEACHER --work WORK --output workbench/models/mini
    python -m benchmarks.build_mini baseline --teacher TEACHER --work WORK
    python -m benchmarks.build_mini score DATA/stsb/dev-no-msr-deft.csv --teacher TEACHER --work WORK --model workbench/models/mini

`collect` writes the sentences of a folder of CSV and JSONL files, one per line; any folder of .txt files does as well. `teach` adds
variants of them and asks the teacher for the vector of each. `train` distils: the student learns the teacher's vectors, turned
into their own principal components and cut off at the student's width, so that its cosines stand for the teacher's without a
projection. `baseline` trains a mean of word vectors of the same size on the same rows, by the same objective. `score` measures
all three. Everything is seeded; on one machine and one thread two builds give the same weights.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizerFast, TrainerCallback, TrainingArguments

from benchmarks.measuring import interleaved, machine
from workbench import SentenceTransformer, models
from workbench.evaluation import build_evaluator
from workbench.losses import Loss
from workbench.losses.loss import require_labels
from workbench.models.numerics import fast_float32
from workbench.models.token_counts import TokenCounts, count_tokens
from workbench.training.batch import Collate
from workbench.training.distributed import ALONE
from workbench.training.precision import Precision
from workbench.training.sampler import ShuffledBatches
from workbench.training.tokens import Tokens
from workbench.training.trainer import SentenceTrainer, TrainedNetwork

SEED = 1
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BASELINE_WIDTH = 160
"""Times the teacher's 30,522 pieces, as many bytes as `mini`."""

LONGEST = 200
"""Characters of a text; longer ones cost more than they teach."""


# --- texts ------------------------------------------------------------------------------------------------------------

_TEXT_COLUMNS = ("sentence1", "sentence2", "premise", "hypothesis", "text", "anchor", "positive", "negative", "title")
_SIGNS = ".,;:?!()'\""
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9(])")


def collect(files: Iterable[Path], exclude: Iterable[Path]) -> list[str]:
    """Return the distinct English sentences of CSV and JSONL files, long texts split, none of the excluded files' among them."""
    forbidden = {_key(text) for path in exclude for text in _texts_of(path)}
    found: dict[str, str] = {}
    for path in files:
        for text in _texts_of(path):
            for sentence in _SENTENCE_END.split(text) if len(text) > 200 else [text]:
                tidy = " ".join(sentence.split())
                if 2 <= len(tidy) <= 400 and _key(tidy) not in forbidden:
                    found.setdefault(_key(tidy), tidy)
    return list(found.values())


def _key(text: str) -> str:
    """Return what makes two sentences the same: their words in lower case."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _texts_of(path: Path) -> Iterator[str]:
    # In files of translations the second column is the English one.
    names = ("positive",) if path.stem.endswith("-eng") else _TEXT_COLUMNS
    with path.open(encoding="utf-8", newline="") as file:
        rows: Iterable[dict[str, Any]] = map(json.loads, file) if path.suffix == ".jsonl" else csv.DictReader(file)
        for row in rows:
            yield from (row[name] for name in names if row.get(name))


def nearest_words(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return for each row the numbers of the rows of highest cosine, itself left out, (rows, count)."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = []
    for start in range(0, len(unit), 1000):
        cosine = unit[start : start + 1000] @ unit.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -1
        nearest.append(np.argpartition(-cosine, count, axis=1)[:, :count])
    return np.concatenate(nearest)


OPENERS = tuple(
    """
    I think|I believe|I would say|I am not sure, but|As far as I know,|In my experience,|In my opinion,|To be honest,|From what I have read,
    The short answer is that|The simple answer:|Yes,|No,|Well,|Of course|Maybe|It depends, but|You should know that|Keep in mind that
    Please note that|It seems that|It looks like|It is true that|It is not true that|Some people say that|Most people agree that
    No one knows whether|I do not believe that|I wonder if|Can you tell me whether|Is it true that|My question is:|For example,|However,
    On the other hand,|In general,|As others have said,|Like I said above,|First of all,|In short,|Update:|Report:|Police:|UN:|Study:
    Official says|Officials say|Minister says|President says|Experts warn:|New study finds|Sources say|Breaking:|Live:|Video:|Opinion:
    According to a new report,|A court ruled that|He said that|She told me that|They announced that|We found that|Our results show that
    """.replace("\n", "|").split("|")
)
"""How people begin in forums, headlines and reports; the empty one among them is left out."""


def variants(
    sources: Sequence[Sequence[str]], words: Sequence[str], neighbours: NDArray[np.int64], number: int, seed: int
) -> list[str]:
    """Return texts made of the sentences, so that the teacher can be asked about more than they say.

    Of ten: five with one to four words exchanged for words of a like meaning ("a man plays a guitar" becomes "a woman plays a
    violin"), two with one to three exchanged for any word, each word having its turn, and of the rest one cut out of the middle,
    one put together of two halves, one of a few words alone; one in eight of them all begins as people begin in forums and
    headlines. Sentences of up to twenty words only, since longer ones cost more.

    Args:
        sources: Sentences by where they come from; a source is drawn from by the square root of its size.
        words: The words to put in.
        neighbours: For each word the numbers of the words nearest to it, (words, some).
        number: How many to make.
        seed: Of all choices.
    """
    generator = random.Random(seed)
    openers = [text.strip() for text in OPENERS if text.strip()]
    place = {word: number for number, word in enumerate(words)}
    short = [[sentence.split() for sentence in source if 3 <= sentence.count(" ") + 1 <= 20] for source in sources]
    weights = [math.sqrt(len(source)) for source in short]
    deck = list(words)
    generator.shuffle(deck)
    position = 0

    def deal(count: int) -> list[str]:
        nonlocal position
        taken = [deck[(position + offset) % len(deck)] for offset in range(count)]
        position += count
        return taken

    def draw() -> list[str]:
        return list(generator.choice(generator.choices(short, weights)[0]))

    made: dict[str, None] = {}
    while len(made) < number:
        tokens = draw()
        match generator.randrange(10):
            case 0 | 1:
                for word in deal(generator.randint(1, min(3, len(tokens)))):
                    tokens[generator.randrange(len(tokens))] = word
            case 2:
                length = generator.randint(min(3, len(tokens)), min(12, len(tokens)))
                start = generator.randint(0, len(tokens) - length)
                tokens = tokens[start : start + length]
            case 3:
                other = draw()
                tokens = [*tokens[: (len(tokens) + 1) // 2], *other[len(other) // 2 :]]
            case 4:
                tokens = deal(generator.randint(1, 4))
            case _:
                bare = [token.lower().strip(_SIGNS) for token in tokens]
                known = [index for index, token in enumerate(bare) if token in place]
                for index in generator.sample(known, min(len(known), generator.randint(1, 4))):
                    tokens[index] = words[int(generator.choice(neighbours[place[bare[index]]]))]
        if generator.random() < 1 / 8:
            tokens.insert(0, generator.choice(openers))
        made[" ".join(tokens)] = None
    return list(made)


# --- vocabulary -------------------------------------------------------------------------------------------------------


def choose_pieces(tokenizer: Any, texts: Sequence[str], size: int) -> list[str]:
    """Return the tokens to keep of the teacher's, special tokens first, then in the teacher's order.

    All single Latin letters, digits and signs stay, so that any word can still be spelt. The rest go by the mean of two
    frequencies: that in the texts, and Zipf's law over the teacher's order, which is by frequency in general English.

    Args:
        tokenizer: The teacher's.
        texts: What is counted.
        size: Pieces to keep.
    """
    vocabulary: dict[str, int] = tokenizer.get_vocab()
    counts: Counter[int] = Counter()
    for start in range(0, len(texts), 4096):
        encoded = tokenizer(list(texts[start : start + 4096]), add_special_tokens=False, return_attention_mask=False)
        for ids in encoded["input_ids"]:
            counts.update(ids)
    total = sum(counts.values())
    ordered = sorted((number, piece) for piece, number in vocabulary.items() if not piece.startswith("[") or piece == "[")
    spelling = [piece for _, piece in ordered if len(piece.removeprefix("##")) == 1 and piece.removeprefix("##") < "\u0250"]
    harmonic = float(np.sum(1 / np.arange(1, len(ordered) + 1)))
    # The single characters stand first in the teacher's order whatever their frequency; they are kept anyway.
    weight = {piece: counts[number] / total + 1 / (rank * harmonic) for rank, (number, piece) in enumerate(ordered, 1)}
    kept = set(spelling)
    for piece in sorted(weight, key=lambda piece: (-weight[piece], vocabulary[piece])):
        if len(kept) >= size - len(SPECIAL):
            break
        kept.add(piece)
    return [*SPECIAL, *(piece for _, piece in ordered if piece in kept)]


def whole_words(pieces: Iterable[str]) -> list[str]:
    """Return the pieces that are words of three letters or more."""
    return [piece for piece in pieces if len(piece) > 2 and piece.isalpha()]


def cut_tokenizer(teacher: Any, pieces: list[str], max_seq_length: int) -> BertTokenizerFast:
    """Return the teacher's tokenizer with a smaller vocabulary."""
    stored = json.loads(teacher.backend_tokenizer.to_str())
    stored["model"]["vocab"] = {piece: number for number, piece in enumerate(pieces)}
    stored["added_tokens"] = [token | {"id": pieces.index(token["content"])} for token in stored["added_tokens"]]
    processor = stored["post_processor"]
    for token in processor.get("special_tokens", {}).values():
        token["ids"] = [pieces.index(name) for name in token["tokens"]]
    for end in ("sep", "cls"):
        if end in processor:
            processor[end] = [processor[end][0], pieces.index(processor[end][0])]
    stored["truncation"] = stored["padding"] = None
    return BertTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(stored)), model_max_length=max_seq_length)


# --- student ----------------------------------------------------------------------------------------------------------


def piece_vectors(teacher: SentenceTransformer, pieces: Sequence[str], width: int) -> Tensor:
    """Return the principal components of what the teacher says of each piece alone, (pieces, width), variance 1 overall."""
    tokenizer = teacher.tokenizer
    numbers = tokenizer.convert_tokens_to_ids(list(pieces))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(numbers), 512):
            rows = [[tokenizer.cls_token_id, number, tokenizer.sep_token_id] for number in numbers[start : start + 512]]
            parts.append(teacher(teacher.encoder.collate(rows, teacher.device))["sentence_embedding"].numpy())
    vectors = np.concatenate(parts)
    vectors -= vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(vectors, full_matrices=False)
    reduced = vectors @ directions[:width].T
    return torch.from_numpy(reduced / reduced.std())


def build_student(
    teacher: SentenceTransformer, pieces: list[str], layers: int, width: int, heads: int, intermediate: int, seed: int
) -> SentenceTransformer:
    """Return a network of random weights, but for its word vectors, which come from the teacher."""
    length = 256
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        max_position_embeddings=length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(seed)
    # With the pooler that no one uses, since other readers expect its weights and warn of their absence.
    bert = BertModel(config)
    with torch.no_grad():
        # As large beside the position vectors as word vectors are in a trained BERT.
        bert.embeddings.word_embeddings.weight.copy_(0.05 * piece_vectors(teacher, pieces, width))
    encoder = models.Transformer.from_parts(bert, cut_tokenizer(teacher.tokenizer, pieces, length), length, length)
    return SentenceTransformer(modules=[encoder, models.Pooling(width)], device="cpu")


class CosineDistillLoss(Loss):
    """Mean of 1 - cosine between the student's vector and the teacher's.

    Plus `matching` times the mean squared difference of all cosines within the batch (Tung and Mori 2019). Where the widths
    differ, a linear map between them is learned.
    """

    def __init__(self, width: int, teacher_width: int, matching: float = 0.0) -> None:
        super().__init__()
        self.projection = nn.Identity() if width == teacher_width else nn.Linear(width, teacher_width, bias=False)
        self.matching = matching

    def forward(self, embeddings: Sequence[Tensor], labels: Tensor | None = None) -> Tensor:
        """Take one column (rows, width) and the teacher's vectors (rows, teacher width)."""
        (vectors,) = embeddings
        wanted = require_labels(labels, self).to(vectors.dtype)
        loss = (1 - functional.cosine_similarity(self.projection(vectors), wanted)).mean()
        if self.matching:
            student, teacher = functional.normalize(vectors, dim=-1), functional.normalize(wanted, dim=-1)
            others = ~torch.eye(len(vectors), dtype=torch.bool)
            loss = loss + self.matching * (student @ student.T - teacher @ teacher.T)[others].square().mean()
        return loss


def principal_components(vectors: NDArray[Any], width: int) -> NDArray[np.float32]:
    """Return vectors in the coordinates of their largest principal components, (rows, width).

    Not centred: lengths and cosines, not variances, are to be kept. A sample of the rows tells the directions.

    Args:
        vectors: (rows, teacher width).
        width: How many components to keep.
    """
    sample = np.asarray(vectors[:: max(1, len(vectors) // 50_000)], dtype=np.float32)
    _, directions = np.linalg.eigh(sample.T @ sample)
    largest = np.ascontiguousarray(directions[:, ::-1][:, :width])
    parts = [np.asarray(vectors[start : start + 50_000], dtype=np.float32) @ largest for start in range(0, len(vectors), 50_000)]
    return np.concatenate(parts)


class _Report(TrainerCallback):
    """Prints the loss, and keeps the student as it is every so often."""

    def __init__(self, model: SentenceTransformer | None, folder: Path) -> None:
        self._model, self._folder, self._start = model, folder, time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            print(
                f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.4f}, {time.perf_counter() - self._start:.0f} s"
            )
            sys.stdout.flush()
            if self._model is not None:
                self._model.save(self._folder)


def distil(student: SentenceTransformer, texts: Sequence[str], targets: NDArray[Any], loss: Loss, args: argparse.Namespace) -> None:
    """Train a student on the teacher's vectors, with the workbench's own batches and trainer."""
    tokens = Tokens(student, [list(texts)])
    steps = args.steps or int(args.epochs * len(tokens.columns[0]) / args.batch_size)
    trainer = SentenceTrainer(
        TrainedNetwork(student, loss, ALONE, None),
        ShuffledBatches(tokens, args.batch_size, args.seed),
        Collate(tokens, targets),
        Precision("fp32", "weights this small gain nothing from less"),
        args=TrainingArguments(
            output_dir=str(args.work / "trainer"),
            max_steps=steps,
            learning_rate=args.learning_rate,
            warmup_steps=steps // 20,
            lr_scheduler_type="linear",
            weight_decay=0.01,
            optim="adamw_torch_fused",
            seed=args.seed,
            use_cpu=True,
            logging_steps=max(1, steps // 40),
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            remove_unused_columns=False,
        ),
        callbacks=[_Report(student, args.work / "latest")],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    with fast_float32(student.device):
        trainer.train()


def save_half(model: SentenceTransformer, folder: Path) -> None:
    """Write a model folder whose weights take two bytes a number; config.json goes on saying float32, as what they are read."""
    model.save(folder)
    path = folder / "model.safetensors"
    save_file({name: tensor.half() for name, tensor in load_file(path).items()}, path, metadata={"format": "pt"})


# --- commands ---------------------------------------------------------------------------------------------------------


def run_collect(args: argparse.Namespace) -> None:
    """Write the sentences of a folder of data sets, those of each of its folders into one file."""
    files: dict[str, list[Path]] = {}
    for path in sorted(args.data.rglob("*")):
        if path.suffix in {".csv", ".jsonl"} and _is_english(path) and path not in args.exclude:
            files.setdefault(path.relative_to(args.data).parts[0], []).append(path)
    args.output.mkdir(parents=True, exist_ok=True)
    for source, paths in files.items():
        sentences = collect(paths, args.exclude)
        (args.output / source).with_suffix(".txt").write_text("\n".join(sentences) + "\n", encoding="utf-8")
        print(f"{source}: {len(sentences):,} sentences of {len(paths)} files")


def _is_english(path: Path) -> bool:
    return not set(path.parts) & {"klue_ko", "paws_id", "messy", "original"}


def run_teach(args: argparse.Namespace) -> None:
    """Write texts, pieces and the teacher's vectors."""
    sources = [
        [line for line in path.read_text(encoding="utf-8").splitlines() if line and len(line) <= LONGEST]
        for path in sorted(args.texts.glob("*.txt"))
    ]
    sentences = list(dict.fromkeys(itertools.chain.from_iterable(sources)))
    teacher = SentenceTransformer(args.teacher, device="cpu")
    pieces = choose_pieces(teacher.tokenizer, sentences, args.pieces)
    # Also words that the student has to spell: it is to know as many as the teacher does.
    words = whole_words(sorted(teacher.tokenizer.get_vocab(), key=teacher.tokenizer.get_vocab().__getitem__))
    vectors_of_words = piece_vectors(teacher, words, teacher.get_sentence_embedding_dimension()).numpy()
    made = variants(sources, words, nearest_words(vectors_of_words, 12), args.variants, args.seed)
    known = {_key(sentence) for sentence in sentences}
    known |= {_key(text) for path in args.exclude for text in _texts_of(path)}  # a variant may happen to say just that
    texts = [*sentences, *(text for text in made if _key(text) not in known)]
    args.work.mkdir(parents=True, exist_ok=True)
    (args.work / "pieces.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (args.work / "texts.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    vectors = np.empty((len(texts), teacher.get_sentence_embedding_dimension()), dtype=np.float16)
    for start in range(0, len(texts), 20_000):
        with torch.autocast("cpu", torch.bfloat16):  # cosine to float32 above 0.9999, in well under half the time
            vectors[start : start + 20_000] = teacher.encode(texts[start : start + 20_000], batch_size=128)
        print(f"{min(start + 20_000, len(texts)):,} of {len(texts):,} texts", flush=True)
    np.save(args.work / "vectors.npy", vectors)


def _lesson(args: argparse.Namespace) -> tuple[list[str], list[str], NDArray[Any]]:
    """Return pieces, texts and vectors of `teach`."""
    pieces, texts = ((args.work / name).read_text(encoding="utf-8").splitlines() for name in ("pieces.txt", "texts.txt"))
    return pieces, texts, np.load(args.work / "vectors.npy", mmap_mode="r")


def run_train(args: argparse.Namespace) -> None:
    """Distil the student and write its folder."""
    pieces, texts, vectors = _lesson(args)
    teacher = SentenceTransformer(args.teacher, device="cpu")
    if args.start is None:
        student = build_student(teacher, pieces, args.layers, args.width, args.heads, args.intermediate, args.seed)
    else:
        student = SentenceTransformer(args.start, device="cpu")
    targets = vectors if args.projection else principal_components(vectors, args.width)
    loss = CosineDistillLoss(args.width, targets.shape[1], args.matching)
    distil(student, texts, targets, loss, args)
    save_half(student, args.output)
    size = sum(path.stat().st_size for path in args.output.rglob("*") if path.is_file())
    print(f"{args.output}: {sum(weight.numel() for weight in student.parameters()):,} parameters, {size / 1e6:.2f} MB")


class WordVectors(nn.Module):
    """The baseline: the mean of one vector for each token.

    Args:
        tokenizer: Splits into pieces.
        vectors: What they start as, (pieces, width).
    """

    def __init__(self, tokenizer: Any, vectors: Tensor) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.table = nn.EmbeddingBag.from_pretrained(vectors, freeze=False, mode="mean")
        self.max_seq_length = 256

    @property
    def encoder(self) -> WordVectors:
        """What cuts texts, as a sentence transformer has it."""
        return self

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """Return how much of each text is read."""
        return count_tokens(self.tokenizer.backend_tokenizer, texts, self.max_seq_length)

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the pieces of each text, at least one."""
        rows = self.tokenizer([*texts], add_special_tokens=False, truncation=True, max_length=self.max_seq_length)["input_ids"]
        return [row or [self.tokenizer.unk_token_id] for row in rows]

    def forward(self, token_ids: Sequence[Sequence[int]]) -> Tensor:
        """Return the vector of each text, (rows, width)."""
        starts = np.concatenate([[0], np.cumsum([len(row) for row in token_ids])[:-1]])
        return self.table(torch.tensor([token for row in token_ids for token in row]), torch.from_numpy(starts))

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, (texts, width)."""
        with torch.inference_mode():
            return self(self.tokenize(texts)).numpy()


def run_baseline(args: argparse.Namespace) -> None:
    """Train the mean of word vectors: all of the teacher's pieces, as wide as the bytes of `mini` allow."""
    _, texts, vectors = _lesson(args)
    teacher = SentenceTransformer(args.teacher, device="cpu")
    names = sorted(teacher.tokenizer.get_vocab().items(), key=lambda item: item[1])
    model = WordVectors(teacher.tokenizer, 0.05 * piece_vectors(teacher, [name for name, _ in names], args.width))
    tokens, targets = Tokens(model, [texts]), principal_components(vectors, args.width)  # type: ignore[arg-type]
    batches, collate = ShuffledBatches(tokens, args.batch_size, args.seed), Collate(tokens, targets)
    loss = CosineDistillLoss(args.width, args.width)
    steps = args.steps or int(args.epochs * tokens.rows / args.batch_size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, weight_decay=0.0, fused=True)
    schedule = transformers.get_linear_schedule_with_warmup(optimiser, steps // 20, steps)
    step = 0
    while step < steps:
        batches.set_epoch(step // len(batches))
        for rows in batches:
            batch = collate(rows)
            value = loss([model(batch.token_ids)[batch.columns[0]]], batch.labels)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            step += 1
            if step % max(1, steps // 20) == 0:
                print(f"step {step} of {steps}: loss {float(value.detach()):.4f}", flush=True)
            if step >= steps:
                break
    torch.save(model.table.weight.detach().half(), args.work / "baseline.pt")
    print(f"{model.table.weight.numel():,} parameters, {model.table.weight.numel() * 2 / 1e6:.2f} MB")


def run_score(args: argparse.Namespace) -> None:
    """Print what teacher, student and baseline are worth, and how fast the student is."""
    teacher = SentenceTransformer(args.teacher, device="cpu")
    start = time.perf_counter()
    student = SentenceTransformer(args.model, device="cpu")
    loading = time.perf_counter() - start
    with args.pairs.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [[row[name] for row in rows] for name in ("sentence1", "sentence2")]
    evaluator = build_evaluator("scored_pairs", columns, [float(row["score"]) for row in rows])
    encoders: dict[str, Callable[[list[str]], NDArray[np.float32]]] = {"teacher": teacher.encode, "mini": student.encode}
    names = sorted(teacher.tokenizer.get_vocab(), key=teacher.tokenizer.get_vocab().__getitem__)
    share = 1 / torch.arange(1, len(names) + 1)
    share /= share.sum()  # Zipf's law over the teacher's order
    weighted = piece_vectors(teacher, names, _BASELINE_WIDTH) * (1e-4 / (1e-4 + share)).unsqueeze(1)  # Arora et al. 2017
    encoders["untrained word vectors"] = WordVectors(teacher.tokenizer, weighted).encode
    table = args.work / "baseline.pt"
    if table.is_file():
        words = WordVectors(teacher.tokenizer, torch.load(table, weights_only=True).float())
        encoders["word vectors"] = words.encode
    result: dict[str, Any] = {
        "spearman_cosine": {name: round(evaluator(encode).value, 4) for name, encode in encoders.items()},
        "rows": len(rows),
        "loading_seconds": round(loading, 3),
        "bytes": sum(path.stat().st_size for path in args.model.rglob("*") if path.is_file()),
        "num_parameters": sum(weight.numel() for weight in student.parameters()),
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    texts = list(dict.fromkeys(columns[0] + columns[1]))
    seconds: dict[str, float] = {}
    encoding = {"teacher": teacher, "mini": student}
    for _, name in interleaved(list(encoding), 5):  # the best of each counts
        start = time.perf_counter()
        encoding[name].encode(texts, batch_size=64)
        seconds[name] = min(seconds.get(name, 1e9), time.perf_counter() - start)
    torch.set_num_threads(threads)
    result["times_as_fast"] = round(seconds["teacher"] / seconds["mini"], 2)
    result["texts_per_second"] = {name: round(len(texts) / value) for name, value in seconds.items()}
    result["machine"] = machine()
    text = json.dumps(result, indent=2)
    print(text)
    if args.json is not None:
        args.json.write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    commands = parser.add_subparsers(required=True)
    collecting = commands.add_parser("collect", help="sentences of a folder of data sets")
    collecting.add_argument("data", type=Path)
    collecting.add_argument("--output", type=Path, required=True)
    collecting.set_defaults(run=run_collect)
    teaching = commands.add_parser("teach", help="variants of the texts, and the teacher's vectors of all")
    teaching.add_argument("texts", type=Path)
    teaching.add_argument("--pieces", type=int, default=24_000)
    teaching.add_argument("--variants", type=int, default=900_000)
    teaching.set_defaults(run=run_teach)
    training = commands.add_parser("train", help="distil the student")
    training.add_argument("--output", type=Path, required=True)
    training.add_argument("--start", type=Path, help="go on from this model instead of random weights")
    training.add_argument("--layers", type=int, default=7)
    training.add_argument("--heads", type=int, default=6)
    training.add_argument("--intermediate", type=int, default=288)
    training.add_argument("--projection", action="store_true", help="learn a map to the teacher's width instead of cutting it")
    training.add_argument("--matching", type=float, default=0.0, help="weight of matching the cosines within a batch")
    training.add_argument("--width", type=int, default=144)
    training.add_argument("--learning-rate", type=float, default=1e-3)
    training.set_defaults(run=run_train)
    baseline = commands.add_parser("baseline", help="train a mean of word vectors of the same size")
    baseline.add_argument("--width", type=int, default=_BASELINE_WIDTH)
    baseline.add_argument("--learning-rate", type=float, default=5e-3)
    baseline.set_defaults(run=run_baseline)
    scoring = commands.add_parser("score", help="measure teacher, student and baseline")
    scoring.add_argument("pairs", type=Path)
    scoring.add_argument("--model", type=Path, required=True)
    scoring.add_argument("--json", type=Path, help="also write the numbers to this file")
    scoring.set_defaults(run=run_score)
    for command in (collecting, teaching):
        command.add_argument("--exclude", type=Path, action="append", default=[], help="a file none of whose sentences may be used")
    for command in (teaching, training, baseline, scoring):
        command.add_argument("--teacher", required=True, help="folder or Hub name of the teacher")
        command.add_argument("--work", type=Path, required=True, help="folder for what lies between")
        command.add_argument("--seed", type=int, default=SEED)
    for command in (training, baseline):
        command.add_argument("--epochs", type=float, default=3.0)
        command.add_argument("--steps", type=int, default=None)
        command.add_argument("--batch-size", type=int, default=128)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
