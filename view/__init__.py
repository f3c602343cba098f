"""What a person sees: figures, the session report, the terminal. It reads what the others wrote and changes nothing."""
