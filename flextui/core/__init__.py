"""The engine and its adapters. Nothing below this package imports Textual."""
