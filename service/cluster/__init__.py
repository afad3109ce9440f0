"""What the worker processes of one service have in common: numbers in shared memory, and a line to the supervisor."""
