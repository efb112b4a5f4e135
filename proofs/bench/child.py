"""The entry point of a measuring process. Its workers run it as well, so it imports little."""

import asyncio
import importlib
import logging
import sys

import structlog

if __name__ == "__main__":
    # Its output is its figures, and structlog's default is to write each log line there.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    main = importlib.import_module(f"{__package__}.{sys.argv[1]}").main
    if asyncio.iscoroutinefunction(main):
        asyncio.run(main())
    else:
        main()
