"""The soak: the whole stack under load while its processes are killed, frozen, cut off and restarted."""
