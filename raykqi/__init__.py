"""raykqi: machine-learning work on Ray that never forgets how a result came about."""

__version__ = "0.1.0"
