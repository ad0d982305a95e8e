"""The store: Delta Lake tables of canonical rows and feedback under one project folder."""
