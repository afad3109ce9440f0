"""Pictures that were sent, and their features, kept for a while: one that is asked about again is not run again."""
