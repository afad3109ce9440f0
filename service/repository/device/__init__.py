"""The process that owns a device: its sessions, and the one context that they share, where they can be killed."""
