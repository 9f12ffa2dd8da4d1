"""What TPU's own compiler makes of this library's programs, on a machine without one."""
