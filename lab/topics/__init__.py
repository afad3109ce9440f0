"""The experiments of the laboratory, one topic a module."""
