-- Statements for the states of grains. A version of null writes a state that nobody has written before; any other must be
-- the one that is stored. No row in the answer means that another writer was faster, or that the writer may not write any more:
-- a silo names its connections by itself (address:port@generation), and one whose lease others have ended is refused, since they
-- have read what it would change. The lease cannot end while the statement runs. Connections with other names are not asked.

--- ReadFromStorageKey
SELECT payload AS PayloadBinary, version AS Version
FROM grain_state
WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
  AND key_high = @GrainIdN0 AND key_low = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString::text, '');

--- WriteToStorageKey
WITH lease AS
(
    SELECT FROM silo_lease WHERE silo = current_setting('application_name') FOR KEY SHARE
),
changed AS
(
    UPDATE grain_state
    SET payload = @PayloadBinary, version = version + 1, written_at = now()
    WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
      AND key_high = @GrainIdN0 AND key_low = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString::text, '')
      AND version = @GrainStateVersion::integer
      AND (current_setting('application_name') !~ '@[0-9]+$' OR EXISTS (SELECT FROM lease))
    RETURNING version
),
added AS
(
    INSERT INTO grain_state (service_id, grain_type, key_high, key_low, key_text, version, payload)
    SELECT @ServiceId, @GrainTypeString, @GrainIdN0, @GrainIdN1, coalesce(@GrainIdExtensionString::text, ''), 1, @PayloadBinary
    WHERE @GrainStateVersion::integer IS NULL
      AND (current_setting('application_name') !~ '@[0-9]+$' OR EXISTS (SELECT FROM lease))
    ON CONFLICT DO NOTHING
    RETURNING version
)
SELECT version AS NewGrainStateVersion FROM changed
UNION ALL
SELECT version FROM added;

--- ClearStorageKey
WITH lease AS
(
    SELECT FROM silo_lease WHERE silo = current_setting('application_name') FOR KEY SHARE
)
UPDATE grain_state
SET payload = NULL, version = version + 1, written_at = now()
WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
  AND key_high = @GrainIdN0 AND key_low = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString::text, '')
  AND version = @GrainStateVersion::integer
  AND (current_setting('application_name') !~ '@[0-9]+$' OR EXISTS (SELECT FROM lease))
RETURNING version AS NewGrainStateVersion;

--- DeleteStorageKey
-- Answers with the version after the one that was deleted, which tells the caller that it was there.
WITH lease AS
(
    SELECT FROM silo_lease WHERE silo = current_setting('application_name') FOR KEY SHARE
)
DELETE FROM grain_state
WHERE service_id = @ServiceId AND grain_type = @GrainTypeString
  AND key_high = @GrainIdN0 AND key_low = @GrainIdN1 AND key_text = coalesce(@GrainIdExtensionString::text, '')
  AND version = @GrainStateVersion::integer
  AND (current_setting('application_name') !~ '@[0-9]+$' OR EXISTS (SELECT FROM lease))
RETURNING version + 1 AS NewGrainStateVersion;
