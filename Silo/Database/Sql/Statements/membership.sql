-- Statements for the table of silos. Each is one SQL statement and therefore happens whole or not at all; a writer that
-- has not seen the last version changes nothing and gets false.

--- InsertMembershipVersionKey
WITH added AS
(
    INSERT INTO silo_table (deployment_id) VALUES (@DeploymentId)
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT EXISTS (SELECT FROM added);

--- InsertMembershipKey
WITH raised AS
(
    UPDATE silo_table AS t
    SET version = t.version + 1, changed_at = now()
    WHERE t.deployment_id = @DeploymentId AND t.version = @Version
      AND NOT EXISTS
      (
          SELECT FROM silo AS s
          WHERE s.deployment_id = @DeploymentId AND s.address = @Address AND s.port = @Port AND s.generation = @Generation
      )
    RETURNING t.deployment_id
),
added AS
(
    INSERT INTO silo (deployment_id, address, port, generation, name, host_name, status, proxy_port, start_time, alive_at)
    SELECT r.deployment_id, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime
    FROM raised AS r
    RETURNING 1
)
SELECT EXISTS (SELECT FROM added);

--- UpdateMembershipKey
WITH raised AS
(
    UPDATE silo_table AS t
    SET version = t.version + 1, changed_at = now()
    WHERE t.deployment_id = @DeploymentId AND t.version = @Version
      AND EXISTS
      (
          SELECT FROM silo AS s
          WHERE s.deployment_id = @DeploymentId AND s.address = @Address AND s.port = @Port AND s.generation = @Generation
      )
    RETURNING t.deployment_id
),
changed AS
(
    UPDATE silo AS s
    SET status = @Status, suspect_times = @SuspectTimes::text, alive_at = @IAmAliveTime
    FROM raised AS r
    WHERE s.deployment_id = r.deployment_id AND s.address = @Address AND s.port = @Port AND s.generation = @Generation
    RETURNING 1
)
SELECT EXISTS (SELECT FROM changed);

--- UpdateIAmAlivetimeKey
UPDATE silo
SET alive_at = @IAmAliveTime
WHERE deployment_id = @DeploymentId AND address = @Address AND port = @Port AND generation = @Generation;

--- MembershipReadRowKey
SELECT s.address AS Address, s.port AS Port, s.generation AS Generation, s.name AS SiloName, s.host_name AS HostName,
       s.status AS Status, s.proxy_port AS ProxyPort, s.suspect_times AS SuspectTimes, s.start_time AS StartTime,
       s.alive_at AS IAmAliveTime, t.version AS Version
FROM silo_table AS t
LEFT JOIN silo AS s
    ON s.deployment_id = t.deployment_id AND s.address = @Address AND s.port = @Port AND s.generation = @Generation
WHERE t.deployment_id = @DeploymentId;

--- MembershipReadAllKey
SELECT s.address AS Address, s.port AS Port, s.generation AS Generation, s.name AS SiloName, s.host_name AS HostName,
       s.status AS Status, s.proxy_port AS ProxyPort, s.suspect_times AS SuspectTimes, s.start_time AS StartTime,
       s.alive_at AS IAmAliveTime, t.version AS Version
FROM silo_table AS t
LEFT JOIN silo AS s ON s.deployment_id = t.deployment_id
WHERE t.deployment_id = @DeploymentId;

--- GatewaysQueryKey
SELECT address AS Address, proxy_port AS ProxyPort, generation AS Generation
FROM silo
WHERE deployment_id = @DeploymentId AND status = @Status AND proxy_port > 0;

--- DeleteMembershipTableEntriesKey
DELETE FROM silo_table WHERE deployment_id = @DeploymentId;

--- CleanupDefunctSiloEntriesKey
-- 3 is an active silo: one that is silent for long is for the others to declare dead first, never to be forgotten alive.
DELETE FROM silo WHERE deployment_id = @DeploymentId AND alive_at < @IAmAliveTime AND status <> 3;
