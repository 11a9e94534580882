"""Telemetry: what the service tells about itself.

Holds the logs, every Prometheus series, and the log line and metrics of each request.
Promises: one event a line; each line carries the id of the request that caused it; nothing quotes a body or a secret.
Never: raises into the work that it tells about.
"""
