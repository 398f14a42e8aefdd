"""`python -m hydrometer` is the command line."""

from hydrometer.cli import main

if __name__ == "__main__":
    main()
