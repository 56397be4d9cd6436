"""The network: layers executed consecutively, the stack, its on-disk format, and the catalogue of base encoders.

`bases` and `folder` know folders and names without torch; everything else is imported only when a network is built.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
