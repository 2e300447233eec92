"""PostgreSQL: transactions with a row scope, migrations, the kit's own tables, paging and etags."""
