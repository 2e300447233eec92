"""Lists of workshop visits that come in as files (GRP-05)."""
