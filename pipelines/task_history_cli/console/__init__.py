"""Command-line input and output: arguments, date ranges, log lines, tables, the live progress line."""
