"""The commands of `surehook`, one file each.

1. `surehook.main` imports the file of the command that is called, and no other.
2. A command reads the settings, waits for the store and calls `surehook.admin`; a long-running one begins with `start`.
3. `options` holds the options that commands share, `tables` and `progress` print.
"""
