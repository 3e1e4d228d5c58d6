"""``python -m logwatch_monitis``."""

from logwatch_monitis.cli.main import main

if __name__ == "__main__":
    main()
