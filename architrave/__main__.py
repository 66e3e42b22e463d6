"""`python -m architrave`."""

from architrave.cli import main

if __name__ == "__main__":
    main()
