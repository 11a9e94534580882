"""Oversight: what operators ask of the whole house.

Holds one payment's story, the promises that must hold of all of them, and a doctor for what surrounds the service.
Promises: every question is bounded and answered from indexes, or walks in short pages; a million rows do no harm.
Never: writes. Pages come in for a payment's evidence; the app registers its commands, and the metrics its gauges.
"""
