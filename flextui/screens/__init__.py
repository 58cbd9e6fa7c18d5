"""What people see. Only here (and in app.py) is Textual imported; one screen per file."""
