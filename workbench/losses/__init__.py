"""Training objectives over sentence vectors. A loss never owns the encoder; it may own parameters of its own."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
