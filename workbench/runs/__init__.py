"""Runs: the queue, the supervisor that works it off, the worker that trains, the history, recovery.

Naming this room imports neither torch nor a database; the supervisor imports no torch at all.
"""

from workbench._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "ERROR_ORDERS": "workbench.runs.corrections",
        "ErrorTable": "workbench.runs.corrections",
        "Run": "workbench.runs.run",
        "RunResult": "workbench.runs.following",
        "correct_rows": "workbench.runs.corrections",
        "delete_run": "workbench.runs.history",
        "describe_start": "workbench.runs.submission",
        "ensure_supervisor": "workbench.runs.spawn",
        "follow": "workbench.runs.following",
        "get_run": "workbench.runs.history",
        "is_run_id": "workbench.runs.run",
        "list_runs": "workbench.runs.history",
        "metrics_records": "workbench.runs.corrections",
        "program_of_recipe": "workbench.runs.program",
        "program_of_run": "workbench.runs.program",
        "read_errors": "workbench.runs.corrections",
        "read_fixes": "workbench.runs.corrections",
        "read_live": "workbench.runs.live",
        "read_outcome": "workbench.runs.outcome",
        "read_series": "workbench.runs.live",
        "read_test_part": "workbench.runs.held_out",
        "read_watch": "workbench.runs.live",
        "rename_run": "workbench.runs.history",
        "request_stop": "workbench.runs.history",
        "resolve_model": "workbench.runs.history",
        "retrain": "workbench.runs.corrections",
        "submit": "workbench.runs.submission",
        "suggest": "workbench.runs.submission",
        "train": "workbench.runs.following",
        "write_table": "workbench.runs.corrections",
    },
)
