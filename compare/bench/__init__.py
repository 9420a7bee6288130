"""The benchmark: Ropewalk beside other servers, in one run. `make bench`, or `python -m bench` from `compare/`."""
