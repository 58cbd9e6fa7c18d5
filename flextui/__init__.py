"""flextui: the terminal from which a lab runs its GPU boxes."""

__version__ = "0.1.0"
