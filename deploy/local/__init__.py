"""The local stack: every part as a child of one process (`stack`, `process`), with a broker and a Prometheus."""
