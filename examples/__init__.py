"""Examples that ship with Surehook."""
