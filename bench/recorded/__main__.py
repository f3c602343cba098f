"""The command line of the package."""

from bench.recorded.command import main

if __name__ == "__main__":
    main()
