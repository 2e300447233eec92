"""The gateway's database, step by step."""
