"""The walls: Landlock, the seccomp filter, and the system calls that set them up. They are used on both sides."""
