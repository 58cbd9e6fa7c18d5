"""What the spec editor knows, apart from how it is drawn: pure functions of text, schema and
fleet. The command line's `edit` and `rollback` use some of them too."""
