"""Typed events: what handlers get."""

from surehook.shared.models.event import Event
from surehook.shared.models.reading import MODELS, event_from, parse_deep_event

__all__ = ["MODELS", "Event", "event_from", "parse_deep_event"]
