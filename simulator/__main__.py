"""`python -m simulator` is `spot-simulator`."""

from simulator.cli import main

if __name__ == "__main__":
    main()
