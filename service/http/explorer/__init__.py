"""The explorer: a page that shows what the service can do, of scripts, styles and samples that lie beside it."""
