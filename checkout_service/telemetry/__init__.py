"""Telemetry: what the service reports about itself.

Holds the logs, the counters and histograms for Prometheus, the log line and metrics of each request, and spans.
Promises: one event is one line, with the id of the request that caused it. Nothing quotes a body or a secret.
Never: raises into the work that it reports about.
"""
