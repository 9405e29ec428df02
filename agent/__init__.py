"""The running process."""

VERSION = "0.1.0"
