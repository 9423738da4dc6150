-- Question: Which days are loaded, and is it known that everything came?
-- Grain: One row per system, instance and UTC day, from the first day that is loaded to the last, gaps included.
-- Note: Days are UTC days under any setting timezone, since coverage is noted so. Only what is loaded whole
--   counts; what was loaded under filters, such as failed executions alone, does not.
-- Columns:
--   system text: The vendor's API, such as paragon.
--   instance text: The account of the system; empty for the first one.
--   day date: The UTC day on which executions began.
--   state text: verified; unverified, when it is not known that all came, as reason says; partial, when a part of the day is not loaded, as on the last day; missing, when nothing of it is.
--   covered_ms bigint: Milliseconds of the day that are loaded; 86,400,000 is all of it.
--   loaded_from timestamp: From when on the day is loaded; with gaps, where covered_ms is less than up to loaded_until.
--   loaded_until timestamp: Until when the day is loaded; that instant excluded.
--   executions bigint: Executions that began in what is loaded of the day, when it was last read; left_out included.
--   left_out bigint: How many executions of the day are not stored because their person was forgotten.
--   api_total bigint: The vendor's count for the same; empty where it gave none.
--   is_verified bool: Whether they are known to be all that the vendor has.
--   reason text: Why they are not known to be all; empty where they are, and where that was not noted.
--   checked_at timestamp: When the day was last read or compared.
WITH noted AS (
    SELECT
        system,
        instance,
        part,
        CAST(day AT TIME ZONE 'UTC' AS DATE) AS day,
        lane,
        windows,
        covered_ms,
        executions,
        left_out,
        api_total,
        is_verified,
        reason,
        checked_at
    FROM systems.coverage
    WHERE is_whole AND day IS NOT NULL
),

-- Lanes may overlap: each window adds what none before it covers.
spans AS (
    SELECT
        n.system,
        n.instance,
        n.part,
        n.day,
        CAST(substr(w.span, 3, 24) AS TIMESTAMPTZ) AS span_start,
        CAST(substr(w.span, length(w.span) - 25, 24) AS TIMESTAMPTZ) AS span_end
    FROM noted AS n
    CROSS JOIN UNNEST(regexp_extract_all(n.windows, '\["[^"]+", *"[^"]+"\]')) AS w(span)
    WHERE n.lane <> 'audit'
),

ordered AS (
    SELECT
        system,
        instance,
        part,
        day,
        span_start,
        span_end,
        max(span_end) OVER (
            PARTITION BY system, instance, part, day ORDER BY span_start NULLS FIRST, span_end NULLS FIRST
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS covered_before
    FROM spans
),

covered AS (
    SELECT
        system,
        instance,
        part,
        day,
        min(span_start) AS loaded_from,
        max(span_end) AS loaded_until,
        CAST(sum(greatest(
            0,
            (epoch_us(span_end) - epoch_us(greatest(span_start, coalesce(covered_before, span_start)))) // 1000
        )) AS BIGINT) AS covered_ms
    FROM ordered
    GROUP BY system, instance, part, day
),

lanes AS (
    SELECT
        system,
        instance,
        part,
        day,
        CAST(sum(executions) AS BIGINT) AS executions,
        max(left_out) AS left_out,
        CASE WHEN count(api_total) = count(*) THEN CAST(sum(api_total) AS BIGINT) END AS api_total,
        min(CASE WHEN is_verified THEN 1 ELSE 0 END) = 1 AS is_verified,
        max(CASE WHEN NOT is_verified THEN reason END) AS reason,
        max(checked_at) AS checked_at
    FROM noted
    WHERE lane <> 'audit'
    GROUP BY system, instance, part, day
),

audits AS (
    SELECT system, instance, part, day, covered_ms, executions, left_out, api_total, is_verified, reason, checked_at
    FROM noted
    WHERE lane = 'audit'
),

-- The last audit's word is the newest where it came later and looked at all that is loaded.
judged_parts AS (
    SELECT
        l.system,
        l.instance,
        l.part,
        l.day,
        coalesce(c.covered_ms, 0) AS covered_ms,
        c.loaded_from,
        c.loaded_until,
        CASE WHEN a.checked_at IS NULL THEN l.executions ELSE a.executions END AS executions,
        CASE WHEN a.checked_at IS NULL THEN l.left_out ELSE a.left_out END AS left_out,
        CASE WHEN a.checked_at IS NULL THEN l.api_total ELSE a.api_total END AS api_total,
        CASE WHEN a.checked_at IS NULL THEN l.is_verified ELSE a.is_verified END AS is_verified,
        CASE WHEN a.checked_at IS NULL THEN l.reason ELSE a.reason END AS reason,
        coalesce(a.checked_at, l.checked_at) AS checked_at
    FROM lanes AS l
    LEFT JOIN covered AS c
        ON c.system = l.system AND c.instance = l.instance AND c.part = l.part AND c.day = l.day
    LEFT JOIN audits AS a
        ON a.system = l.system AND a.instance = l.instance AND a.part = l.part AND a.day = l.day
        AND a.checked_at > l.checked_at AND a.covered_ms >= c.covered_ms
),

-- A list that comes in parts is loaded as far as each of them; one of which nothing is noted was not there then.
judged AS (
    SELECT
        system,
        instance,
        day,
        min(covered_ms) AS covered_ms,
        max(loaded_from) AS loaded_from,
        min(loaded_until) AS loaded_until,
        CAST(sum(executions) AS BIGINT) AS executions,
        CAST(sum(left_out) AS BIGINT) AS left_out,
        CASE WHEN count(api_total) = count(*) THEN CAST(sum(api_total) AS BIGINT) END AS api_total,
        min(CASE WHEN is_verified THEN 1 ELSE 0 END) = 1 AS is_verified,
        max(CASE WHEN NOT is_verified THEN reason END) AS reason,
        min(checked_at) AS checked_at
    FROM judged_parts
    GROUP BY system, instance, day
),

spans_of_days AS (
    SELECT system, instance, min(day) AS first_day, max(day) AS last_day
    FROM judged
    GROUP BY system, instance
),

calendar AS (
    SELECT s.system, s.instance, d.day
    FROM spans_of_days AS s
    CROSS JOIN UNNEST(CAST(generate_series(s.first_day, s.last_day, INTERVAL '1' DAY) AS DATE[])) AS d(day)
)

SELECT
    c.system,
    c.instance,
    c.day,
    CASE
        WHEN j.day IS NULL OR j.covered_ms = 0 THEN 'missing'
        WHEN j.covered_ms < 86400000 THEN 'partial'
        WHEN j.is_verified THEN 'verified'
        ELSE 'unverified'
    END AS state,
    coalesce(j.covered_ms, 0) AS covered_ms,
    j.loaded_from,
    j.loaded_until,
    coalesce(j.executions, 0) AS executions,
    coalesce(j.left_out, 0) AS left_out,
    j.api_total,
    coalesce(j.is_verified, FALSE) AS is_verified,
    j.reason,
    j.checked_at
FROM calendar AS c
LEFT JOIN judged AS j
    ON j.system = c.system AND j.instance = c.instance AND j.day = c.day
