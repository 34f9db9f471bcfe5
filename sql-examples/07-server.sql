-- What the server itself does: the queries that run, the last that ended, and what was read of each source for them.

SELECT query_id, state, elapsed_ms, rows, query
FROM system.runtime.queries
ORDER BY created DESC
LIMIT 5;

SELECT * FROM system.runtime.sources LIMIT 5;

SELECT current_user, version();

-- How a session wants things done.
SHOW SESSION;

SET SESSION query_max_run_time = '5m';

RESET SESSION query_max_run_time;
