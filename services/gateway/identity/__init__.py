"""Who signs in, and the tokens that they get."""
