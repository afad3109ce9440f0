"""Heatmaps of a class for any layer: Grad-CAM, LayerCAM, Score-CAM, Eigen-CAM and occlusion, without torch."""
