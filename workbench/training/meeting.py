"""Where the processes of a run on several devices find each other; apart from what needs torch, since the launcher has none."""

MEETING_FILE = "meeting"
"""In a run's folder, which no one else may enter: the file through which the processes of one machine find each other."""
