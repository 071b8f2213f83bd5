"""The command's verbs, a file each."""
