"""One run of a handler, the same for ordinary and transactional events.

1. The body is decrypted; if the key is missing, the whole worker pauses (`missing_key`).
2. Fields that do not fit the event's model are reported (`run_log`).
3. The runner (`runner`) calls the handler in its thread, or in the event loop if it is `async` (`event_loop`).
4. At the deadline the watchdog raises HandlerTimeout in the handler (`timeouts`).
5. Work that goes on after its run is over is noticed, and the process replaced (`leftovers`).
6. The result becomes an attempt's record (`attempts`), its error without the event's own values (`masking`).
"""
