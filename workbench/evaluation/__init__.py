"""Held-out metrics, one evaluator for each kind of data set, and the verdict: is the tuned model better than its base?"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
