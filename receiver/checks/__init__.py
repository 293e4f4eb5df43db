"""What keeps a receiver from working, or might: looked for without starting or writing anything."""
