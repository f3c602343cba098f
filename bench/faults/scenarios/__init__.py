"""What is run under faults: commands and whole nights, and what each must leave behind."""
