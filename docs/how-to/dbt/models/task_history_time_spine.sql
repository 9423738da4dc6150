-- Every day from the first execution to a year from now, which metrics are laid upon; at most the last 2^15 of them.
with numbers as (
    {{ dbt.generate_series(32768) }}
),

span as (
    select
        cast(coalesce(min(started_at), current_timestamp) as date) as first_day,
        cast({{ dbt.dateadd('year', 1, 'current_date') }} as date) as last_day
    from {{ ref('task_history_executions') }}
),

days as (
    select
        span.first_day,
        cast({{ dbt.dateadd('day', '(1 - cast(numbers.generated_number as ' ~ dbt.type_int() ~ '))', 'span.last_day') }} as date)
            as date_day
    from span
    cross join numbers
)

select date_day
from days
where date_day >= first_day
