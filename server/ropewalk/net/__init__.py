"""Layer 1: sockets, TLS, connections and their deadlines. Knows no WSGI and no processes."""
