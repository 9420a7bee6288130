"""hello inside WhiteNoise, which serves the folder `static` of BENCH_FOLDER under /static/."""

from __future__ import annotations

import os

from whitenoise import WhiteNoise

from bench.applications.hello import application as hello

application = WhiteNoise(hello, root=os.path.join(os.environ["BENCH_FOLDER"], "static"), prefix="static/")
