"""Uploaded files to checked, versioned, split data sets. No torch in here."""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "DataReport": "workbench.data.inspection",
        "Issue": "workbench.data.issues",
        "Parts": "workbench.data.parts",
        "SplitSummary": "workbench.data.parts",
        "StoredDataset": "workbench.data.catalogue",
        "components": "workbench.data.splitting",
        "correct_dataset": "workbench.data.catalogue",
        "delete_dataset": "workbench.data.catalogue",
        "import_file": "workbench.data.catalogue",
        "inspect_file": "workbench.data.inspection",
        "is_dataset_ref": "workbench.data.catalogue",
        "list_datasets": "workbench.data.catalogue",
        "load_pairs": "workbench.data.parts",
        "open_dataset": "workbench.data.catalogue",
        "open_parts": "workbench.data.parts",
        "preview_split": "workbench.data.parts",
        "read_column": "workbench.data.tables",
        "read_lines": "workbench.data.tables",
        "read_table": "workbench.data.tables",
        "suggest_sentences": "workbench.data.parts",
    },
)
