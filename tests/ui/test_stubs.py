"""Gradio is imported whole, and writes nothing for editors while it is."""

import subprocess
import sys

PROGRAM = """
import sys
from workbench.ui.stubs import without_stub_files
before = list(sys.meta_path)
with without_stub_files():
    import gradio
from gradio import component_meta
assert component_meta.create_or_modify_pyi.__name__ == "_write_nothing"
assert gradio.Textbox(label="a").get_block_name() == "textbox" and hasattr(gradio.Textbox, "submit")
assert sys.meta_path == before
"""


def test_gradio_is_whole_and_writes_no_stubs() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)


def test_all_is_as_before_where_gradio_is_already_there() -> None:
    from workbench.ui.stubs import without_stub_files

    before = list(sys.meta_path)
    with without_stub_files():
        import gradio  # noqa: F401
    assert sys.meta_path == before
