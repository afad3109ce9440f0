"""The routes: each reads its request, calls one function that knows nothing of HTTP, and writes the answer."""
