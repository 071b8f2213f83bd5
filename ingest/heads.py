"""The heads of answers as they stand on the wire: nearly all deliveries get the same one."""

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from ingest.answers import Answer

Fields = Sequence[tuple[bytes, bytes]]


class Heads:
    """Made once a second, which is how often the date in them changes."""

    def __init__(self) -> None:
        self._fields: Fields = ()
        self._made: dict[tuple[int, int, Fields, bool], bytes] = {}

    def of(self, answer: Answer, fields: Fields, *, is_last: bool) -> bytes:
        """The head of an answer; `fields` are the server's own, for which it makes a new list when they change."""
        if fields is not self._fields:
            self._fields = fields
            self._made.clear()
        key = (answer.status, len(answer.body), answer.headers, is_last)
        head = self._made.get(key)
        if head is None:
            head = self._made[key] = head_of(answer, fields, is_last=is_last)
        return head


def head_of(answer: Answer, fields: Fields = (), *, is_last: bool) -> bytes:
    """The head of an answer, behind what else its sender is told."""
    lines = [*fields, *answer.fields]
    if is_last and not answer.is_last:
        lines.append((b"connection", b"close"))
    return b"".join([STATUS_LINE[answer.status], *(b"%b: %b\r\n" % line for line in lines), b"\r\n"])
