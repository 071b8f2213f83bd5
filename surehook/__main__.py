"""`python -m surehook`: how `surehook dev` starts the others."""

from surehook.main import main

if __name__ == "__main__":
    main()
