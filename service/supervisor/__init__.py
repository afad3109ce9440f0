"""The supervisor of several worker processes: starts, restarts and stops them, and hands changes on to all."""
