"""The HTTP interface: routes, middleware, and the server."""
