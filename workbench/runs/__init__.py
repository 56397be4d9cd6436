"""Runs: the queue, the supervisor that works it off, the worker that trains, the history, recovery.

Naming this room imports neither torch nor a database; the supervisor imports no torch at all.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
