"""Operations on the store, for the commands and the dashboard.

1. List: `events` the events on record, `dead_letters` the jobs that will not run again by themselves, `transactions`
   the refused transactions and the orphans, `queues` the queues, `ledger` the counts and their balance.
2. Run again: `events` and `dead_letters` replay, `transactions` replays an event that FusionAuth committed.
3. Close: `dead_letters` discards, `transactions` resolves orphans.
4. Go through all records (`records`): `erasure` erases a user's data, `key_rotation` encrypts with the newest key.
"""
