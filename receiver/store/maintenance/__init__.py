"""What keeps the database in order beside the writing: partitions, bounds, figures."""
