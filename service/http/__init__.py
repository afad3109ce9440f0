"""The HTTP door: routes, middleware, and the server."""
