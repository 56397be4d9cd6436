"""The web page: Gradio mounted in our own FastAPI application; components <-> recipe, nothing else.

Never imports torch or transformers: training happens in runs, encoding in the encoder process of the playground.
"""

import os

import lazy_loader

# Gradio reads this when it is imported; with it on, the server asks outside hosts for news at every start.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
