-- Every day from the first execution to a year from now, which metrics are laid upon.
with recursive days as (
    select cast(coalesce(min(started_at), current_timestamp) as date) as date_day
    from {{ ref('task_history_executions') }}
    union all
    select cast(date_day + interval '1' day as date)
    from days
    where date_day < current_date + interval '1' year
)
select date_day
from days
