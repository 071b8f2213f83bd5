"""Handlers: what users write, and how Surehook finds them.

1. The loader (`loader`) imports the modules in SUREHOOK_HANDLERS.
2. There, each `@on` checks its options (`options`, `retry`) and declares a handler (`registry`); type checkers see the
   overloads in `overloads`.
3. `@resource` (`resources`), `@around` and `@on_dead_letter` (`hooks`) declare what runs beside handlers; `parameters`
   reads what each function takes.
4. The registry says which handlers match an event, and which of them decide a transaction.
5. A handler ends by returning or raising; some exceptions have a meaning of their own (`errors`). It may ask about its
   own run (`attempt`).
"""
