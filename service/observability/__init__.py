"""Metrics, logs, traces and statistics."""
