"""The training objectives, as one table: what data each takes, its parameters, and when to pick it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workbench.errors import ConfigError
from workbench.recipe.kinds import KINDS
from workbench.recipe.parameters import Parameter, check_parameters, parse_options


@dataclass(frozen=True)
class LossEntry:
    """One training objective.

    Attributes:
        name: Class name, as the field knows it.
        cls: Where the class is, `module:Class`.
        kinds: Kinds of data set it can train on.
        help: When people pick it, in one sentence.
        source: The paper or the formula's origin.
        parameters: What a user may set.
        in_batch_negatives: Whether other rows of the batch serve as wrong answers, so that a text must not occur twice.
        needs_classes: Whether the constructor takes `embedding_dimension` and `num_labels`.
        cached: The class of sentence-transformers that embeds a part of the batch at a time; empty where it has none.
        joins: What is made of the sentence vectors u, v (and w), step by step, as a drawing of the objective writes it.
        formula: What the loss is, as text.
    """

    name: str
    cls: str
    kinds: tuple[str, ...]
    help: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    in_batch_negatives: bool = False
    needs_classes: bool = False
    cached: str = ""
    joins: tuple[str, ...] = ()
    formula: str = ""


_SCALE = Parameter(
    "scale", "float", 20.0, "Multiplies the cosine before the softmax (1 / temperature).", 0.01, 1000.0, habitual="10 to 50"
)
_MARGIN = Parameter(
    "margin", "float", 0.5, "Cosine distance beyond which a non-match is far enough.", 0.0, 2.0, habitual="0.3 to 0.8"
)

LOSSES: Mapping[str, LossEntry] = {
    entry.name: entry
    for entry in (
        LossEntry(
            "CoSENTLoss",
            "workbench.losses.cosent:CoSENTLoss",
            ("scored_pairs", "labelled_pairs"),
            "Puts pairs in the order of their scores; the usual first choice for scored pairs.",
            "Su, CoSENT (2022)",
            (_SCALE,),
            joins=("cosine(u, v)",),
            formula="Of any two rows the one with the higher score should have the higher cosine: log(1 + Σ exp(scale × (lower − higher))).",
        ),
        LossEntry(
            "AnglELoss",
            "workbench.losses.angle:AnglELoss",
            ("scored_pairs", "labelled_pairs"),
            "Orders pairs as CoSENT does, by an angle whose gradient does not fade where texts are nearly the same.",
            "Li and Li, AnglE-optimized Text Embeddings (2023)",
            (_SCALE,),
            joins=("angle(u, v) of complex halves",),
            formula="As CoSENT, with |Σ real + Σ imaginary parts of u / v| in place of the cosine; halves of a vector are the two parts.",
        ),
        LossEntry(
            "CosineSimilarityLoss",
            "workbench.losses.cosine_similarity:CosineSimilarityLoss",
            ("scored_pairs", "labelled_pairs"),
            "Pulls the cosine of each pair towards its score itself, so that the numbers keep their meaning.",
            "Reimers and Gurevych, Sentence-BERT (2019), regression objective",
            joins=("cosine(u, v)",),
            formula="Mean of (cosine(u, v) − score)².",
        ),
        LossEntry(
            "ContrastiveLoss",
            "workbench.losses.contrastive:ContrastiveLoss",
            ("labelled_pairs",),
            "Pulls matching pairs together and pushes the others apart until they are a margin away.",
            "Hadsell, Chopra and LeCun (2006)",
            (_MARGIN,),
            joins=("d = 1 − cosine(u, v)",),
            formula="Label 1 costs d², label 0 costs max(0, margin − d)²; half of their mean.",
        ),
        LossEntry(
            "OnlineContrastiveLoss",
            "workbench.losses.online_contrastive:OnlineContrastiveLoss",
            ("labelled_pairs",),
            "The contrastive loss of the hard pairs of a batch only: matches that are far, non-matches that are near.",
            "Hadsell, Chopra and LeCun (2006), with the selection of sentence-transformers",
            (_MARGIN,),
            joins=("d = 1 − cosine(u, v)", "pairs that the batch has mixed up"),
            formula="Over hard pairs: label 1 costs d², label 0 costs max(0, margin − d)²; their sum.",
        ),
        LossEntry(
            "MultipleNegativesRankingLoss",
            "workbench.losses.multiple_negatives_ranking:MultipleNegativesRankingLoss",
            ("pairs", "triplets"),
            "Finds the right partner among all partners of the batch; the usual choice for search.",
            "Henderson et al., Efficient Natural Language Response Suggestion (2017)",
            (_SCALE,),
            in_batch_negatives=True,
            cached="CachedMultipleNegativesRankingLoss",
            joins=("cosine of every u with every candidate",),
            formula="In each row of the matrix a softmax over scale × cosine must pick the diagonal, the row's own partner.",
        ),
        LossEntry(
            "MultipleNegativesSymmetricRankingLoss",
            "workbench.losses.multiple_negatives_symmetric_ranking:MultipleNegativesSymmetricRankingLoss",
            ("pairs",),
            "Finds the right partner in both directions; for pairs of which either text may be the question.",
            "Henderson et al. (2017), both ways",
            (_SCALE,),
            in_batch_negatives=True,
            cached="CachedMultipleNegativesSymmetricRankingLoss",
            joins=("cosine of every u with every v",),
            formula="Mean of two softmax losses: in each row of the matrix, and in each column, scale × cosine must pick the diagonal.",
        ),
        LossEntry(
            "MegaBatchMarginLoss",
            "workbench.losses.mega_batch_margin:MegaBatchMarginLoss",
            ("pairs",),
            "Compares each text with its partner and the hardest wrong one of the batch; wants large batches.",
            "Wieting and Gimpel, ParaNMT (2018)",
            (
                Parameter(
                    "positive_margin",
                    "float",
                    0.8,
                    "Cosine from which a text's own partner is near enough.",
                    -1.0,
                    1.0,
                    habitual="0.6 to 0.9",
                ),
                Parameter(
                    "negative_margin",
                    "float",
                    0.3,
                    "Cosine up to which the hardest wrong partner is far enough.",
                    -1.0,
                    1.0,
                    habitual="0.1 to 0.4",
                ),
            ),
            in_batch_negatives=True,
            cached="MegaBatchMarginLoss",
            joins=("cosine of every u with every v", "the largest of the wrong ones"),
            formula="Mean of max(0, positive margin − right) + max(0, hardest wrong − negative margin).",
        ),
        LossEntry(
            "TripletLoss",
            "workbench.losses.triplet:TripletLoss",
            ("triplets",),
            "Keeps the wrong text farther from the anchor than the right one, by a margin.",
            "Schroff, Kalenichenko and Philbin, FaceNet (2015)",
            (
                Parameter(
                    "triplet_margin",
                    "float",
                    5.0,
                    "Euclidean distance by which the negative must be farther away.",
                    0.0,
                    100.0,
                    habitual="1 to 5; below 1 after Normalize",
                ),
            ),
            joins=("distances |u − v| and |u − w|",),
            formula="Mean of max(0, |u − v| − |u − w| + margin).",
        ),
        LossEntry(
            "SoftmaxLoss",
            "workbench.losses.softmax:SoftmaxLoss",
            ("class_pairs", "labelled_pairs"),
            "Learns to name the class of a pair from u, v and |u-v|; the way Sentence-BERT was first trained.",
            "Reimers and Gurevych, Sentence-BERT (2019), classification objective",
            needs_classes=True,
            joins=("[u; v; |u − v|]", "linear layer, 3 × width → classes"),
            formula="Cross entropy of the softmax over the classes with the row's label.",
        ),
    )
}

_DEFAULTS: Mapping[str, str] = {
    "scored_pairs": "CoSENTLoss",
    "labelled_pairs": "ContrastiveLoss",
    "class_pairs": "SoftmaxLoss",
    "pairs": "MultipleNegativesRankingLoss",
    "triplets": "MultipleNegativesRankingLoss",
}

_DEFAULT_PARAMS: Mapping[str, Mapping[str, Any]] = {"scored_pairs": {"scale": 5.0}}
"""Where the default differs from the loss's usual parameters. At its usual scale of 20 CoSENT, which only orders, pushes all cosines up,
unevenly for texts unlike the training rows: over two sets of scored pairs and up to three seeds, `mini` then lost 0.04 to 0.10 on pairs
of other origin, at scale 5 at most 0.013, with the same gain or more on its own."""


@dataclass(frozen=True)
class LossSpec:
    """One objective and all its parameters, defaults filled in.

    Raises:
        ConfigError: If the name or a parameter is unknown, or a value is out of range.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the name, fill in defaults and check each value."""
        if self.name not in LOSSES:
            raise ConfigError(f"There is no loss {self.name!r}; there are: {', '.join(LOSSES)}, or auto.", field="loss")
        object.__setattr__(self, "params", check_parameters(LOSSES[self.name].parameters, self.params, self.name))

    @property
    def entry(self) -> LossEntry:
        """The table entry of this loss."""
        return LOSSES[self.name]

    def check_kind(self, kind: str) -> None:
        """Refuse a kind of data set that this loss cannot use.

        Raises:
            ConfigError: Naming the losses that fit.
        """
        if kind not in self.entry.kinds:
            raise ConfigError(
                f"{self.name} trains on {' or '.join(self.entry.kinds)}, but the data set holds {kind} "
                f"({', '.join(KINDS[kind].roles)}); use {' or '.join(losses_for(kind))}.",
                field="loss",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data."""
        return {"name": self.name, "params": dict(self.params)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LossSpec:
        """Read what `to_dict` wrote.

        Raises:
            ConfigError: If it is not a loss.
        """
        if not isinstance(data, Mapping) or not isinstance(data.get("name"), str):
            raise ConfigError(f"A loss must be an object with `name` and `params`, got {data!r}.", field="loss")
        return cls(data["name"], data.get("params") or {})


def losses_for(kind: str) -> tuple[str, ...]:
    """Return the names of the losses that can train on a kind of data set, the default first."""
    names = [name for name, entry in LOSSES.items() if kind in entry.kinds]
    return tuple(sorted(names, key=lambda name: name != _DEFAULTS[kind]))


def default_loss(kind: str) -> LossSpec:
    """Return the loss that fits a kind of data set when the user names none."""
    return LossSpec(_DEFAULTS[kind], _DEFAULT_PARAMS.get(kind, {}))


def parse_loss(text: str) -> LossSpec | None:
    """Read `NAME[:key=value]...`; `auto` gives None, to be settled once the data set is known.

    Raises:
        ConfigError: On an unknown name, parameter or value.
    """
    name, *words = text.strip().split(":")
    if name == "auto":
        return None
    matches = {known.lower(): known for known in LOSSES}
    name = matches.get(name.lower(), name)
    if name not in LOSSES:
        raise ConfigError(f"There is no loss {name!r}; there are: {', '.join(LOSSES)}, or auto.", field="loss")
    positional = tuple(parameter.name for parameter in LOSSES[name].parameters[:1])
    return LossSpec(name, parse_options(LOSSES[name].parameters, positional, words, name))
