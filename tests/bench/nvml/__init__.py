"""A stand-in for the NVIDIA driver's management library."""
