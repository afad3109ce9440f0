"""Why convolution, shown: one experiment a topic, run by ``scs lab``, its pictures and tables on a page of docs/lab."""
