"""`python -m dragspace_jax.cli`: the command without its script on the path."""

from dragspace_jax.cli.main import main

main(prog_name="dragspace")
