"""The playground: what one does with a model. Models are loaded in a process of their own, never in the page's."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
