"""The entry point of a measuring process. Its workers run it as well, so it imports little."""

import asyncio
import importlib
import sys

if __name__ == "__main__":
    main = importlib.import_module(f"{__package__}.{sys.argv[1]}").main
    if asyncio.iscoroutinefunction(main):
        asyncio.run(main())
    else:
        main()
