"""``python -m logwatch_monitis``."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: what lies there is not imported from here on
    from logwatch_monitis.cli.main import main

    main()
