"""Running it: the command line, the local stack, the page, the metrics exporter and the alert rules."""
