"""The processes inside the jail: the zygote, and one child for each program."""
