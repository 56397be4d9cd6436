"""Splits of the page that Gradio has not: factories around `gr.HTML`, each with its own script under `static/js`."""
