"""The soak: the whole house under load while everything in it is killed, stopped, cut off and started again."""
