"""Dynamic batching and thread pools."""
