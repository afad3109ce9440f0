"""The upright search from coarse to fine: a shrunk scene says where to look, the scene itself what is there."""
