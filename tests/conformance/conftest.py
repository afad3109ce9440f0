collect_ignore = ["clients"]  # scripts for environments of their own
