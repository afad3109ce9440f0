"""Work in processes that can be killed: at its deadline, when its client has gone, or when it takes too much memory."""
