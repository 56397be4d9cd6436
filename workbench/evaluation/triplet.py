"""How often the right text is closer than the wrong one."""

from __future__ import annotations

import numpy as np

from workbench.evaluation.evaluation import Details, Encode, Evaluation, Evaluator


class TripletEvaluator(Evaluator):
    """Share of triplets whose anchor has a higher cosine with the positive than with the negative."""

    def __call__(self, encode: Encode) -> Evaluation:
        """Measure one model; needs anchors, positives and negatives."""
        anchor, positive, negative = self.embed(encode)
        right, wrong = (anchor * positive).sum(axis=1), (anchor * negative).sum(axis=1)
        correct = (right > wrong).astype(np.float64)
        metrics = {"cosine_accuracy": float(correct.mean())}
        return Evaluation(
            metrics,
            "cosine_accuracy",
            self.rows,
            np.arange(self.rows),
            lambda units: float(correct[units].mean()),
            lambda: Details(
                {"positive_cosine": right, "negative_cosine": wrong, "margin": right - wrong},
                wrong - right,
                np.concatenate([right, wrong]),
                np.repeat([1, 0], self.rows),
            ),
        )
