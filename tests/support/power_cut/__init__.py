"""A power cut: what was not fsynced is gone. `kill -9` alone cannot show it, because the page cache survives."""
