"""Replaces an event's values in texts."""

from collections.abc import Sequence
from typing import Any

from surehook.workers.execution.masking.folding import fold_reading, symbols_of_reading
from surehook.workers.execution.masking.matching import Matcher, Span
from surehook.workers.execution.masking.occurrences import Occurrences
from surehook.workers.execution.masking.readings import readings_of
from surehook.workers.execution.masking.values import SHORTEST_MASKED, TooManyValues, values_in

MASK = "***"
LEFT_OUT = "(left out, because the event has too many values to mask)"


class Masker:
    """Masks the values of one event."""

    def __init__(self, event: dict[str, Any]) -> None:
        self._event = event

    def mask(self, text: str) -> str:
        return self.mask_all([text])[0]

    def mask_all(self, texts: Sequence[str]) -> list[str]:
        """Masks texts together: they cost one pass over the event's values."""
        if all(len(text) < SHORTEST_MASKED for text in texts):
            return list(texts)
        folded = [[fold_reading(reading) for reading in readings_of(text)] for text in texts]
        try:
            values = values_in(self._event, Occurrences(texts, (each for readings in folded for each in readings)))
        except TooManyValues:
            return [LEFT_OUT if text else text for text in texts]
        matcher = Matcher(values)
        spans = [[span for each in readings for span in matcher.spans(each)] for readings in folded]
        if values.symbols:
            for found, readings in zip(spans, folded, strict=True):
                found.extend(
                    span for each in readings for span in matcher.symbol_spans(symbols_of_reading(each.reading))
                )
        return [_replaced(text, found) for text, found in zip(texts, spans, strict=True)]


def _replaced(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end in sorted(spans):
        if start >= at:
            pieces += text[at:start], MASK
        at = max(at, end)
    pieces.append(text[at:])
    return "".join(pieces)
