"""The product: exported models behind HTTP, and the command line. Runs without torch."""
