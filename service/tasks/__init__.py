"""The tasks of the service, a module or package each: plain values in, plain values out, and no HTTP."""
