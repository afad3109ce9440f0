"""Data sets to train and measure on, and corruptions of their images."""
