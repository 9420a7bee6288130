"""`python3 deploy/kit COMMAND`, in any folder. Any Python 3 must be able to parse this file: it refuses old ones."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036
    sys.stderr.write(
        "Ropewalk needs Python 3.11 or newer; %s is Python %s.\n"  # noqa: UP031
        "If a newer one has another name, pass it: make PYTHON=python3.13 ...\n"
        % (sys.executable, ".".join(map(str, sys.version_info[:3])))
    )
    sys.exit(2)

# Python puts the folder that it runs on the path; the package's modules must be found through the package alone.
sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# for the rules about a project's files, which the images' builds use too
sys.path.append(os.path.join(sys.path[0], "app"))

from kit.cli import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
