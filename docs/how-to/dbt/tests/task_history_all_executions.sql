-- The incremental model has lost no execution that was loaded before it was built.
select e.system, e.instance, e.execution_id
from {{ source('task_history', 'executions') }} as e
left join {{ ref('task_history_executions') }} as m
    on m.system = e.system and m.instance = e.instance and m.execution_id = e.execution_id
where m.execution_id is null
    and e.loaded_at <= (select max(loaded_at) from {{ ref('task_history_executions') }})
