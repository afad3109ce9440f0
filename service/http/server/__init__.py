"""uvicorn's server with limits on heads and bodies, and a graceful shutdown."""
