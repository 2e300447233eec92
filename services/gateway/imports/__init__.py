"""Files that bring lists in: one multipart request becomes an import that is opened, filled and waited for (GRP-05)."""
