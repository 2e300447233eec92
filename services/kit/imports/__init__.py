"""Lists that come in as files: reading, mapping, dry run, confirmation, taking over (GRP-05).

The kit knows no business word; a service says by an `Importer` what its fields are and what becomes of a row.
"""
