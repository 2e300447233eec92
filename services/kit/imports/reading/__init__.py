"""From a file to rows of cells: text with delimiters, and workbooks."""
