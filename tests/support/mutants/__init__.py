"""Mutants of the Lua scripts: `make mutants` runs each against the tests that must notice it."""
