"""The command line: wires the other packages, holds no logic."""
