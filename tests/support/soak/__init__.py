"""The soak: the whole stack under load while everything in it is killed, stopped, cut off and started again."""
