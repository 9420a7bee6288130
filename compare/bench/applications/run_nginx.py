"""Starts nginx in this process: `python run_nginx.py PROGRAM BIND`.

It serves the files of the folder `static` of BENCH_FOLDER under /static/.
"""

import os
import sys
import tempfile

from bench.nginx_places import temporary_files

CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  types {{ text/css css; }}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  {temporary_files}
  server {{
    listen {listen};
    root {root};
  }}
}}
"""

program, bind = sys.argv[1:]
root = os.environ["BENCH_FOLDER"]
folder = tempfile.mkdtemp(prefix="nginx-", dir=root)
configuration = os.path.join(folder, "nginx.conf")
with open(configuration, "w") as file:
    file.write(CONFIGURATION.format(folder=folder, temporary_files=temporary_files(folder), listen=bind, root=root))
os.execv(program, [program, "-e", "stderr", "-p", folder, "-c", configuration])
