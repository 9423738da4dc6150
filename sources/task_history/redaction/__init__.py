"""Redaction of secrets before anything is written; modules in the order in which a value meets them.

redactor     removes secrets from values and texts; reads the rules once they are needed
json_values  removes secrets from parsed JSON
arguments    secrets in lists of texts, such as the arguments of a command
field_names  what the names of an object's fields say of its values
json_in_text redacts the JSON within a text
names_as_values  names that stand as values, and which values they make secret
sibling_fields  fields of an object that say what stands in others of it
secrets_beside_names  values beside the name of a secret where no field says which is which
json_spans   reads JSON within text, with the position of each value
known_secrets what texts are searched for
clean_texts  short texts in which nothing was found
vocabulary   words that hold nothing to look for
redacted_text a text that is redacted step by step
text         redacts text that is not JSON
ordinary_lines  lines of logs in which a word tells of a secret and nothing may be one
secrets_beside_signs  secrets beside signs: addresses, commands, protocols, markup
encodings    decodes texts within text, such as base64
sentences    secrets behind or before their names in sentences
tables_in_text redacts tables in text, such as CSV
value_spans  finds the span of the value after a name
kinds_of_names  classifies names by the values that are secrets under them; the names are in data/*.toml
two_word_names  names that two words make in other languages
judging      judges whether a value under such a name is a secret
no_values    texts behind such a name that are no secret
placeholders values that stand for a secret and are none
schemas      recognizes JSON schemas, which describe fields
randomness   judges whether a text looks random
lookalikes   letters that look like Latin ones
folding      converts escaped and look-alike letters to plain ones
data_files   reads the data files
shapes       secrets known by their shape, such as tokens of vendors
expressions  regular expressions that are compiled when they are first used
patterns     regular expressions for secrets, by shape and by surroundings
own_secrets  finds the run's own secrets in text
arrow_columns  redacts the run's own secrets in Arrow columns
edits        replacements in a text as data
"""
