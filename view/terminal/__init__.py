"""What commands print: a running session, its status, and the command to type next."""
