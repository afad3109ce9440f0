"""A task done on any number of pictures: their list, the parts that processes work on, and rows of Parquet."""
