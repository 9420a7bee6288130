"""Layer 2: PEP 3333. Knows no polling and no processes."""
