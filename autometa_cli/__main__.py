"""`python -m autometa_cli` is the `autometa` command."""

from autometa_cli.app import main

if __name__ == "__main__":
    main()
