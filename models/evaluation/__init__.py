"""Measure an exported model: accuracy, calibration, robustness, shift equivariance. Only the attacks need torch."""
