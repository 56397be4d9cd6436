"""How the page's process and the encoder process talk: frames of a JSON header and raw bytes. No pickle."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from workbench.json_text import dump_json

_LENGTHS = struct.Struct("<QQ")  # bytes of the header, bytes of the payload
_LARGEST = 1 << 34


class WireError(Exception):
    """The other side does not speak this protocol, or ended within a frame."""


def write_frame(stream: BinaryIO, header: Mapping[str, Any], payload: bytes = b"") -> None:
    """Send one frame.

    Raises:
        OSError: If the other side is gone.
    """
    text = dump_json(header).encode()
    stream.write(_LENGTHS.pack(len(text), len(payload)))
    stream.write(text)
    stream.write(payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Receive one frame, None where the other side has closed its end between two frames.

    Raises:
        WireError: If what arrives is no frame.
    """
    lengths = stream.read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < _LENGTHS.size:
        raise WireError("a frame was cut off")
    header_length, payload_length = _LENGTHS.unpack(lengths)
    if header_length + payload_length > _LARGEST:
        raise WireError("a frame is longer than any can be")
    text, payload = stream.read(header_length), stream.read(payload_length)
    if len(text) < header_length or len(payload) < payload_length:
        raise WireError("a frame was cut off")
    try:
        header = json.loads(text)
    except ValueError:
        raise WireError("a frame has no JSON header") from None
    if not isinstance(header, dict):
        raise WireError("a frame's header is no object")
    return header, payload
