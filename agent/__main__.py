"""`python -m agent` is `jaga`, also where the command is not installed."""

from agent.cli import main

main()
