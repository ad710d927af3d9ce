"""The migrations of the project database, oldest first."""
