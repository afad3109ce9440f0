"""What the service does, a task each: plain values in, plain values out, and nothing of HTTP."""
