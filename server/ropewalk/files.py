"""The files of a folder, as `python -m http.server` serves them.

python -m ropewalk.files [-b HOST[:PORT]] [-d FOLDER] [FOLDER] [PORT]
"""

import sys

from ropewalk.dev.files import Files, main

__all__ = ["Files"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
