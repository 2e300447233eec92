"""Workshop visits: the minimal intake of finished visits until repair orders are kept."""
