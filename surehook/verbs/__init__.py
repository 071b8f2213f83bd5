"""The commands of `surehook`, one file each."""
