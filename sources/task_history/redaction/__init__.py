"""Redaction of secrets before anything is written; modules in the order in which a value meets them.

redactor     removes secrets from values and texts
arguments    secrets in lists of texts, such as the arguments of a command
documents    redacts the JSON within a text
pairs        names that stand as values, and which values they make secret
neighbours   values beside the name of a secret where no field says which is which
json_text    reads JSON within text, with the position of each value
known_secrets what texts are searched for
vocabulary   words that hold nothing to look for
redacted_text a text that is redacted step by step
text         redacts text that is not JSON
secrets_beside_signs  secrets beside signs: addresses, commands, protocols, markup
encodings    decodes texts within text, such as base64
sentences    secrets behind or before their names in sentences
tables       redacts tables in text, such as CSV
value_spans  finds the span of the value after a name
names        classifies names by the values that are secrets under them; the names are in data/*.toml
compounds    names that two words make in other languages
judging      judges whether a value under such a name is a secret
lookalikes   letters that look like Latin ones
folding      converts escaped and look-alike letters to plain ones
rules        reads the data files
shapes       secrets known by their shape, such as tokens of vendors
patterns     regular expressions for secrets, by shape and by surroundings
own_secrets  finds the run's own secrets in text
columns      redacts the run's own secrets in Arrow columns
edits        replacements in a text as data
"""
