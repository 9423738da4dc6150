"""What is typed and what is printed: arguments, ranges of time, lines, tables, the live line."""
