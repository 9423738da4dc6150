{#- The condition of an incremental model over a view with loaded_at: what was written since the last build.

    On DuckDB each commit has a later loaded_at than all before it. Elsewhere two machines may commit at once, and what
    becomes visible second may have the earlier instant, by at most the length of a commit: seconds, and an hour is safe.
    Rows that were written before there was this column have none; the first build takes them, as all others. -#}
{% macro written_since_last_build() %}
{%- set lookback = {'duckdb': '', 'bigquery': '- interval 1 hour'}.get(target.type, "- interval '1 hour'") -%}
loaded_at > (
    select coalesce(max(loaded_at), timestamp '1970-01-02 00:00:00') {{ lookback }}
    from {{ this }}
)
{%- endmacro %}
