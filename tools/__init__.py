"""Scripts for work on this repository: the prose check, the generated overloads, the screenshots of the README."""
