"""One run of a handler, the same for ordinary and transactional events.

1. Resources are opened before the process takes work (`resources`, `process_resources`).
2. The body is decrypted; if the key is missing, the whole worker pauses (`missing_key`).
3. Fields that do not fit the event's model are reported (`run_log`).
4. The handler gets its arguments, with the `@around` functions outside (`hooks`). The runner (`runner`) calls it in
   its thread, or in the event loop if it is `async` (`event_loop`).
5. At the deadline the watchdog raises HandlerTimeout in the handler (`timeouts`).
6. Work that goes on after its run is over is noticed, and the process replaced (`leftovers`).
7. The result becomes an attempt's record (`attempts`), its error without the event's own values (`masking`).
"""
