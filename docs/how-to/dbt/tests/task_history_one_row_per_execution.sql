-- No execution is there twice, after builds in any order.
select system, instance, execution_id, count(*) as rows_found
from {{ ref('task_history_executions') }}
group by system, instance, execution_id
having count(*) > 1
