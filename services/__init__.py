"""The rooms. They never import one another; they meet in events and in views of the database."""
