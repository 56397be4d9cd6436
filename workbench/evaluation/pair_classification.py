"""How much of a pair's class can be read from its two vectors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from workbench.evaluation.evaluation import Details, Encode, Evaluation, Evaluator

_FOLDS = 5
_PENALTY = 1e-2


class PairClassificationEvaluator(Evaluator):
    """Accuracy of a linear probe on u, v and |u - v|, each row judged by a probe that never saw its texts.

    A loss's own classifier would favour the tuned model (the base has none), so both models get the same probe: multinomial
    logistic regression, five-fold cross-validated over the rows held out, rows that share a text kept in one fold.
    `majority_accuracy` is what always naming the most frequent class would give.
    """

    def __call__(self, encode: Encode) -> Evaluation:
        """Measure one model; needs two columns and class indices."""
        assert self.labels is not None
        first, second = self.embed(encode)
        labels = self.labels.astype(np.int64)
        features = torch.from_numpy(np.concatenate([first, second, np.abs(first - second)], axis=1)).float()
        predicted, right = _cross_validate(features, torch.from_numpy(labels), self._folds())
        correct = (predicted == labels).astype(np.float64)
        metrics = {
            "probe_accuracy": float(correct.mean()),
            "majority_accuracy": float(np.bincount(labels).max() / len(labels)),
        }
        cosine = np.asarray((first * second).sum(axis=1), dtype=np.float64)
        return Evaluation(
            metrics,
            "probe_accuracy",
            self.rows,
            np.arange(self.rows),
            lambda units: float(correct[units].mean()),
            lambda: Details({"cosine": cosine, "predicted": predicted}, 1 - right, cosine, labels),
        )

    def _folds(self) -> NDArray[np.int64]:
        """Return the fold of each row; rows that share a text, even through other rows, are in one."""
        leader: dict[str, str] = {}

        def find(text: str) -> str:
            while leader.setdefault(text, text) != text:
                leader[text] = leader[leader[text]]
                text = leader[text]
            return text

        for first, second in zip(*self.columns[:2], strict=True):
            leader[find(first)] = find(second)
        roots = [find(text) for text in self.columns[0]]
        size: dict[str, int] = {}
        for root in roots:
            size[root] = size.get(root, 0) + 1
        load = [0] * _FOLDS
        fold: dict[str, int] = {}
        for root in sorted(size, key=lambda root: (-size[root], root)):
            fold[root] = load.index(min(load))
            load[fold[root]] += size[root]
        return np.array([fold[root] for root in roots])


def _cross_validate(features: Tensor, labels: Tensor, folds: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each row the class that the probe of the other folds names, and the probability it gives the right class.

    A row that no probe can be fitted for gets class -1 and probability 0.
    """
    predicted, right = np.full(len(labels), -1, dtype=np.int64), np.zeros(len(labels))
    for fold in range(_FOLDS):
        inside = torch.from_numpy(folds == fold)
        if not inside.any() or inside.all():
            continue
        weight, bias = _fit(features[~inside], labels[~inside], int(labels.max()) + 1)
        probability = functional.softmax((features[inside] @ weight + bias).double(), dim=1)
        predicted[inside.numpy()] = probability.argmax(dim=1).numpy()
        right[inside.numpy()] = probability.gather(1, labels[inside].unsqueeze(1)).squeeze(1).numpy()
    return predicted, right


def _fit(features: Tensor, labels: Tensor, num_labels: int) -> tuple[Tensor, Tensor]:
    """Return weight (width, classes) and bias (classes,) of an L2-penalised multinomial logistic regression."""
    weight = torch.zeros(features.shape[1], num_labels, requires_grad=True)
    bias = torch.zeros(num_labels, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(features @ weight + bias, labels) + _PENALTY / len(labels) * weight.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return weight.detach(), bias.detach()
