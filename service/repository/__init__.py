"""The models that are loaded: the table of versions, loading, aliases and reloading."""
