"""Redaction of secrets before anything is written; modules in the order in which a value meets them.

redactor     values and texts without their secrets
json_text    JSON within a text, with the place of each value
text         texts that are no JSON
tables       tables in text, such as CSV
values       where a value that follows a name begins and ends
names        by which names secrets go
lookalikes   letters that look like Latin ones
folding      texts with letters that are escaped or written otherwise, as they read
patterns     what secrets look like, and what stands around them
own_secrets  the run's own, wherever a vendor repeats them
columns      the same in Arrow columns
edits        replacements in a text, as data
"""
