"""What tests stand on: real servers, clones of migrated databases, whole systems in one process."""
