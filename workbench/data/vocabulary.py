"""The names people give to columns, and the words they use for yes and no."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

ROLE_NAMES: Mapping[str, Sequence[str]] = {
    "sentence1": [
        "sentence1",
        "sent1",
        "sentencea",
        "text1",
        "texta",
        "s1",
        "premise",
        "question1",
        "q1",
        "query1",
        "phrase1",
        "first",
        "left",
        "string1",
        "str1",
        "t1",
        "input1",
        "source1",
        "satz1",
        "frage1",
        "frase1",
        "pregunta1",
        "phrase1",
        "zin1",
        "frase1",
        "문장1",
        "句子1",
        "文1",
    ],
    "sentence2": [
        "sentence2",
        "sent2",
        "sentenceb",
        "text2",
        "textb",
        "s2",
        "hypothesis",
        "question2",
        "q2",
        "query2",
        "phrase2",
        "second",
        "right",
        "string2",
        "str2",
        "t2",
        "input2",
        "source2",
        "paraphrase",
        "satz2",
        "frage2",
        "frase2",
        "pregunta2",
        "zin2",
        "문장2",
        "句子2",
        "文2",
    ],
    "anchor": [
        "anchor",
        "query",
        "question",
        "queries",
        "searchquery",
        "claim",
        "title",
        "source",
        "src",
        "frage",
        "anker",
        "pregunta",
        "consulta",
        "requete",
        "domanda",
        "질문",
        "问题",
        "質問",
    ],
    "positive": [
        "positive",
        "pos",
        "answer",
        "passage",
        "document",
        "doc",
        "response",
        "context",
        "relevant",
        "reply",
        "target",
        "tgt",
        "translation",
        "body",
        "abstract",
        "antwort",
        "dokument",
        "respuesta",
        "documento",
        "reponse",
        "risposta",
        "답변",
        "答案",
        "回答",
    ],
    "negative": [
        "negative",
        "neg",
        "hardnegative",
        "negative1",
        "neg1",
        "irrelevant",
        "wronganswer",
        "negativ",
        "negativo",
        "negatif",
    ],
    "score": [
        "score",
        "scores",
        "similarity",
        "sim",
        "similarityscore",
        "relatedness",
        "relatednessscore",
        "goldscore",
        "rating",
        "grade",
        "value",
        "wert",
        "bewertung",
        "punktzahl",
        "ahnlichkeit",
        "aehnlichkeit",
        "puntuacion",
        "similitud",
        "similarite",
        "note",
        "punteggio",
        "점수",
        "分数",
    ],
    "label": [
        "label",
        "labels",
        "goldlabel",
        "isduplicate",
        "duplicate",
        "class",
        "relation",
        "match",
        "ismatch",
        "isparaphrase",
        "judgment",
        "judgement",
        "klasse",
        "etiqueta",
        "etichetta",
        "라벨",
        "标签",
    ],
}

_ROLE_OF_NAME = {name: role for role, names in ROLE_NAMES.items() for name in names}

_NOT_A_VALUE = re.compile(
    r"(^|_)(id|ids|idx|index|nr|no|num|number|key|year|date|time|line|row|fold|file|page|len|length|count)(_|$)|id$", re.IGNORECASE
)

TRUE_WORDS = frozenset(
    [
        "1",
        "1.0",
        "true",
        "t",
        "yes",
        "y",
        "ja",
        "j",
        "wahr",
        "si",
        "sí",
        "oui",
        "vrai",
        "duplicate",
        "match",
        "paraphrase",
        "positive",
        "similar",
        "same",
        "entailment",
    ]
)
FALSE_WORDS = frozenset(
    [
        "0",
        "0.0",
        "false",
        "f",
        "no",
        "n",
        "nein",
        "falsch",
        "non",
        "faux",
        "not_duplicate",
        "different",
        "no_match",
        "notmatch",
        "negative",
        "dissimilar",
        "not_entailment",
        "unrelated",
    ]
)

ENTAILMENT_WORDS = frozenset({"entailment", "entails", "entailed", "entail"})
CONTRADICTION_WORDS = frozenset({"contradiction", "contradicts", "contradictory", "contradicted", "contradict"})
"""How the pairs of inference data relate, as SNLI, MultiNLI and their kin write it."""

MISSING_LABELS = frozenset({"", "-", "n/a", "na", "nan", "null", "none", "?"})
"""Cells of a score or label column that say there is none; as a *text* each of them is a text like any other."""


def bare_name(name: str) -> str:
    """Return a column name without case, accents, spaces and punctuation: "Sentence_2 " is "sentence2"."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(character for character in plain if not unicodedata.combining(character))
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", plain).casefold())


def role_of_name(name: str) -> str | None:
    """Return the role a column name speaks of, or None."""
    return _ROLE_OF_NAME.get(bare_name(name))


def is_known_name(name: str) -> bool:
    """Return whether a cell is a name that columns have, so that its row is a header."""
    return role_of_name(name) is not None


def names_no_value(name: str) -> bool:
    """Return whether a column of numbers by that name is surely no score: an id, a year, a line number."""
    return bool(_NOT_A_VALUE.search(re.sub(r"[\s\-.]+", "_", name.strip())))
