"""What fitted models know: questions about latents, answered with arrays."""
