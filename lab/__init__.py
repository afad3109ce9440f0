"""Experiments on why networks use convolution: one a topic, run by ``scs lab``, with a page of results in docs/lab."""
