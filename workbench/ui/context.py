"""What every page is handed: the settings, and the one encoder process of this server."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.settings import Settings

if TYPE_CHECKING:
    from workbench.playground import EncoderProcess


class Context:
    """Shared by all pages and routes of one server.

    Args:
        settings: Where the workbench lives and how it listens.

    Attributes:
        settings: As given.
        boot_id: A new value each time the server starts, so that an open page notices a restart.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.boot_id = uuid.uuid4().hex
        self._encoder: EncoderProcess | None = None
        self._lock = threading.Lock()

    @property
    def home(self) -> Path:
        """Folder of data sets, runs and models."""
        return self.settings.home

    @property
    def encoder(self) -> EncoderProcess:
        """The process that turns sentences into vectors; started when first asked for."""
        with self._lock:
            if self._encoder is None:
                from workbench.playground import EncoderProcess

                self._encoder = EncoderProcess(self.home)
            return self._encoder

    def close(self) -> None:
        """End the encoder process; runs go on."""
        with self._lock:
            if self._encoder is not None:
                self._encoder.close()
                self._encoder = None
