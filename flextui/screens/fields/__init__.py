"""What the lists show: for each kind of document its columns, their order and their groups."""
