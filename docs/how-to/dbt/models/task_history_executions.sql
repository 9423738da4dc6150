-- Executions of all systems: each run takes what was written since the last one, in its newest version.
{{ config(materialized='incremental', unique_key=['system', 'instance', 'execution_id']) }}

select *
from {{ source('task_history', 'executions') }}
{% if is_incremental() %}
where {{ written_since_last_build() }}
{% endif %}
