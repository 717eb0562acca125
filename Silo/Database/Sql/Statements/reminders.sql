-- Statements for reminders.

--- UpsertReminderRowKey
INSERT INTO reminder (service_id, grain_id, name, grain_hash, start_time, period, version)
VALUES (@ServiceId, @GrainId, @ReminderName, @GrainHash, @StartTime, @Period, 1)
ON CONFLICT (service_id, grain_id, name) DO UPDATE
SET grain_hash = excluded.grain_hash, start_time = excluded.start_time, period = excluded.period, version = reminder.version + 1
RETURNING version AS Version;

--- ReadReminderRowKey
SELECT grain_id AS GrainId, name AS ReminderName, start_time AS StartTime, period AS Period, version AS Version
FROM reminder
WHERE service_id = @ServiceId AND grain_id = @GrainId AND name = @ReminderName;

--- ReadReminderRowsKey
SELECT grain_id AS GrainId, name AS ReminderName, start_time AS StartTime, period AS Period, version AS Version
FROM reminder
WHERE service_id = @ServiceId AND grain_id = @GrainId;

--- ReadRangeRows1Key
-- A range of the hash ring that does not pass its end.
SELECT grain_id AS GrainId, name AS ReminderName, start_time AS StartTime, period AS Period, version AS Version
FROM reminder
WHERE service_id = @ServiceId AND grain_hash > @BeginHash AND grain_hash <= @EndHash;

--- ReadRangeRows2Key
-- A range of the hash ring that passes its end; it is the whole ring where begin and end are the same.
SELECT grain_id AS GrainId, name AS ReminderName, start_time AS StartTime, period AS Period, version AS Version
FROM reminder
WHERE service_id = @ServiceId AND (grain_hash > @BeginHash OR grain_hash <= @EndHash);

--- DeleteReminderRowKey
WITH gone AS
(
    DELETE FROM reminder
    WHERE service_id = @ServiceId AND grain_id = @GrainId AND name = @ReminderName AND version = @Version
    RETURNING 1
)
SELECT EXISTS (SELECT FROM gone);

--- DeleteReminderRowsKey
DELETE FROM reminder WHERE service_id = @ServiceId;
