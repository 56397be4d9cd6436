"""Fine-tune sentence-embedding models from a spreadsheet of pairs: on a page, on the command line, from Python."""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
