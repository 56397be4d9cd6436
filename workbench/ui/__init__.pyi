from .application import create_app as create_app
from .context import Context as Context
from .draft import Draft as Draft
from .draft import load_draft as load_draft
from .draft import save_draft as save_draft
from .draft import update_draft as update_draft
from .server import serve as serve
