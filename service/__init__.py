"""The inference service over HTTP, and the command line ``scs``; runs without torch."""
