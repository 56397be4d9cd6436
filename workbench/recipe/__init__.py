"""What a run is, as data: layers, architecture, losses, training settings and the recipe that holds them.

Standard library only; nothing here reads a file or knows of torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
