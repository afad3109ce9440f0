"""What pictures are mapped from: files, folders, lists of names, tar archives, Parquet and Zarr."""
