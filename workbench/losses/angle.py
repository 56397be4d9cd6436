"""The order of the angles of complex vectors against the order of the scores."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from workbench.errors import ConfigError
from workbench.losses.cosent import CoSENTLoss


class AnglELoss(CoSENTLoss):
    """CoSENT with another similarity: |sum of real and imaginary parts of z_i / w_i|, scaled by the lengths (Li and Li 2023).

    The first half of a sentence vector is read as the real parts of complex numbers, the second as their imaginary parts. The
    gradient does not vanish where two vectors nearly agree, as that of the cosine does.

    Args:
        scale: Factor on the similarities.
    """

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the similarity of each pair, (rows,).

        Raises:
            ConfigError: If the width is odd, so that there are no halves.
        """
        width = first.shape[-1]
        if width % 2:
            raise ConfigError(
                f"AnglELoss halves the sentence vector, whose width {width} is odd; add a Dense layer of an even width, or use CoSENTLoss.",
                field="loss",
            )
        real, imaginary = functional.normalize(first, dim=-1).chunk(2, dim=-1)
        # A quotient of complex numbers of length 1 is the product with the conjugate; its two parts are added up at once.
        turned = torch.cat([real + imaginary, imaginary - real], dim=-1)
        return (turned * functional.normalize(second, dim=-1)).sum(dim=-1).abs()
