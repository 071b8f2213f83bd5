"""`python -m surehook`: the command that `surehook dev` starts its processes with."""

from surehook.main import main

if __name__ == "__main__":
    main()
