import io

import pytest

from workbench.playground.wire import WireError, read_frame, write_frame


def frame(header, payload=b""):
    stream = io.BytesIO()
    write_frame(stream, header, payload)
    return stream.getvalue()


def test_frames_arrive_as_they_were_sent():
    sent = [({"texts": ["ü\n", "\ud800", ""]}, b""), ({}, bytes(range(256)) * 300)]
    stream = io.BytesIO(b"".join(frame(*each) for each in sent))
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [*sent, None]


def test_a_frame_that_is_cut_off_anywhere_is_noticed():
    whole = frame({"a": 1}, b"1234")
    for cut in range(1, len(whole)):
        with pytest.raises(WireError, match="cut off"):
            read_frame(io.BytesIO(whole[:cut]))


@pytest.mark.parametrize("text", [b"[]", b"nope", b"\xff"])
def test_a_header_that_is_no_object_is_refused(text):
    data = len(text).to_bytes(8, "little") + bytes(8) + text
    with pytest.raises(WireError, match="header"):
        read_frame(io.BytesIO(data))


def test_a_line_of_text_is_not_taken_for_a_length():
    with pytest.raises(WireError, match="longer than any"):
        read_frame(io.BytesIO(b"Loading weights: 100%|#####| 199/199"))
