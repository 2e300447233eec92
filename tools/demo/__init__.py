"""The story of one delivery, told over the public API: nothing here knows more than a client may know."""
