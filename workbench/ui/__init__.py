"""The web page: Gradio mounted in our own FastAPI application; components <-> recipe, nothing else.

Never imports torch or transformers: training happens in runs, encoding in the encoder process of the playground.
"""

import os

from workbench._lazy import lazy_names

# Gradio reads this when it is imported; with it on, the server asks outside hosts for news at every start.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Context": "workbench.ui.context",
        "Draft": "workbench.ui.draft",
        "create_app": "workbench.ui.application",
        "load_draft": "workbench.ui.draft",
        "save_draft": "workbench.ui.draft",
        "serve": "workbench.ui.server",
        "update_draft": "workbench.ui.draft",
    },
)
