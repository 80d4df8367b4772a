"""Messages survive the pipe."""

import io

from imextract.readers.framing import read_message, write_message


def test_messages_come_out_as_they_went_in() -> None:
    stream = io.BytesIO()
    messages: list[dict[str, object]] = [{"path": "gr\udcfcn 😀\n"}, {}, {"deep": [1, {"x": None}]}]
    for message in messages:
        write_message(stream, message)
    stream.seek(0)
    assert [read_message(stream) for _ in messages] == messages
    assert read_message(stream) is None


def test_a_cut_message_is_the_end() -> None:
    stream = io.BytesIO()
    write_message(stream, {"path": "x"})
    for length in range(len(stream.getvalue())):
        assert read_message(io.BytesIO(stream.getvalue()[:length])) is None
