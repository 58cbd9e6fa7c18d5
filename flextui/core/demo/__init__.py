"""A fleet that isn't there: the engine itself over nodes that only tell what real ones would."""
