"""How the shipped weights came about, and how every claim is judged."""
