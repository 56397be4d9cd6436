"""Training: each distinct sentence embedded once a batch, any loss on top, transformers' Trainer underneath."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
