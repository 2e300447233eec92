"""Tools of the repository: what ./dev runs. Services never import them."""
